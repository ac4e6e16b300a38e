/** One shard of a WebDataset: files that share a key, the name up to its first dot, stand together and make a sample. */

import { BnnError } from '../../errors.ts';
import { isPictureName } from '../pictures/picture-format.ts';
import { type TarEntry, TarFile } from './tar-index.ts';

export interface ShardSample {
  readonly picture: TarEntry;
  readonly label: number;
}

/** Labels have a few digits; a larger file is something else. */
const LONGEST_LABEL = 64;

/**
 * The samples of a shard. Samples without a picture and without a class, such as notes about the shard, are passed over.
 *
 * @throws {BnnError} E_FORMAT with shard and key for a picture without a class, a class without a picture or one that is no number, and
 *   for an empty file; E_UNSUPPORTED for two pictures or classes in a sample; what reading the tar file throws.
 */
export async function readShard(path: string): Promise<ShardSample[]> {
  const tar = await TarFile.open(path);
  const samples: ShardSample[] = [];
  let current: Partial<ShardSample> & { readonly key: string } = { key: '' };
  const finish = (): void => {
    const { key, picture, label } = current;
    if (picture === undefined && label === undefined) return;
    if (picture === undefined || label === undefined) {
      const message = picture === undefined ? 'a class (.cls) but no picture' : 'a picture but no class (.cls)';
      const hint = 'expected e.g. 000001.jpg and 000001.cls next to each other';
      throw new BnnError('E_FORMAT', `the sample has ${message}`, { at: `${path} > ${key}`, hint });
    }
    samples.push({ picture, label });
  };
  const refuse = (message: string): never => {
    throw new BnnError('E_UNSUPPORTED', `the sample has two ${message}`, { at: `${path} > ${current.key}` });
  };
  try {
    if (tar.sizeBytes === 0) {
      throw new BnnError('E_FORMAT', 'an empty file, expected a tar file', { at: path, hint: 'fetch it again' });
    }
    for await (const entry of tar.entries()) {
      const key = keyOf(entry.name);
      if (key !== current.key) {
        finish();
        current = { key };
      }
      if (entry.name.endsWith('.cls')) {
        if (current.label !== undefined) refuse(`classes, the second in ${entry.name}`);
        current = { ...current, label: await readLabel(tar, entry) };
      } else if (isPictureName(entry.name)) {
        if (current.picture !== undefined) refuse(`pictures, ${current.picture.name} and ${entry.name}`);
        current = { ...current, picture: entry };
      }
    }
    finish();
  } finally {
    await tar.close();
  }
  return samples;
}

/** The path up to the first dot of the file's name. */
function keyOf(name: string): string {
  const dot = name.indexOf('.', name.lastIndexOf('/') + 1);
  return dot < 0 ? name : name.slice(0, dot);
}

async function readLabel(tar: TarFile, entry: TarEntry): Promise<number> {
  const text = entry.size > LONGEST_LABEL ? '' : new TextDecoder().decode(await tar.read(entry)).trim();
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new BnnError('E_FORMAT', `the class is ${JSON.stringify(text)}, expected a number such as 17`, {
    at: `${tar.path} > ${entry.name}`,
  });
}
