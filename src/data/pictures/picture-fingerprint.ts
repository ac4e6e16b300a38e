/** What tells one set of encoded pictures from another. */

import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, relative } from 'node:path';
import { assertRegularFile } from '../../core/files/regular-file-io.ts';
import { fromSystemError } from '../../errors.ts';
import type { FileSplit } from '../dataset.ts';
import { MOST_PICTURE_BYTES, type PictureSource, readPicture, textAt } from './picture-source.ts';

const STATS_AT_ONCE = 64;
const FILES_AT_ONCE = 16;
/** Hashed within a second; of larger sets, only sizes and times. At most the size of one picture, so that all can be read. */
const HASHED_BYTES = MOST_PICTURE_BYTES;

/**
 * sha256 (hex) over name, size, label and content of every picture; where all together have more than 256 MiB, the time of its file's
 * last change in seconds takes the place of the content. Reading ImageNet would take longer than an epoch.
 *
 * @throws {BnnError} E_NOT_FOUND, E_IO, E_UNSUPPORTED for a picture that is no regular file, with its path.
 */
export async function fingerprintOfPictures(root: string, splits: readonly FileSplit[]): Promise<string> {
  const facts: PictureFacts[][] = [];
  for (const split of splits) facts.push(await factsOf(split));
  const totalBytes = facts.flat().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const hash = createHash('sha256');
  for (const [s, { pictures, labels, count }] of splits.entries()) {
    const identify = async (i: number): Promise<string> =>
      totalBytes > HASHED_BYTES
        ? String(facts[s]?.[i]?.changedSeconds)
        : createHash('sha256')
            .update(await readPicture(pictures, i))
            .digest('hex');
    await inOrder(count, FILES_AT_ONCE, identify, (i, identity) => {
      hash.update(`${nameOf(pictures, i, root)}\0${facts[s]?.[i]?.sizeBytes}\0${labels[i] ?? 0}\0${identity}\n`);
    });
    hash.update('\n');
  }
  return hash.digest('hex');
}

interface PictureFacts {
  readonly sizeBytes: number;
  readonly changedSeconds: number;
}

async function factsOf({ pictures, count }: FileSplit): Promise<PictureFacts[]> {
  const facts: PictureFacts[] = [];
  if (pictures.kind === 'files') {
    const add = (_: number, { size, mtimeMs }: Stats): void => {
      facts.push({ sizeBytes: size, changedSeconds: Math.floor(mtimeMs / 1000) });
    };
    await inOrder(count, STATS_AT_ONCE, (i) => statRegular(textAt(pictures.paths, i)), add);
    return facts;
  }
  const times: number[] = [];
  for (const shard of pictures.shards) times.push(Math.floor((await statRegular(shard)).mtimeMs / 1000));
  for (let i = 0; i < count; i++) {
    facts.push({ sizeBytes: pictures.sizes[i] ?? 0, changedSeconds: times[pictures.shardOf[i] ?? 0] ?? 0 });
  }
  return facts;
}

async function statRegular(path: string): Promise<Stats> {
  try {
    const facts = await stat(path);
    assertRegularFile(facts, path);
    return facts;
  } catch (error) {
    throw fromSystemError(error, 'read', path);
  }
}

function nameOf(pictures: PictureSource, i: number, root: string): string {
  if (pictures.kind === 'files') return relative(root, textAt(pictures.paths, i)).replaceAll('\\', '/');
  const shard = basename(pictures.shards[pictures.shardOf[i] ?? 0] ?? '');
  return `${shard}\0${textAt(pictures.names, i)}\0${pictures.offsets[i]}`;
}

/** Some at a time; `use` gets them in their order. */
async function inOrder<T>(
  count: number,
  atOnce: number,
  work: (i: number) => Promise<T>,
  use: (i: number, result: T) => void,
): Promise<void> {
  for (let begin = 0; begin < count; begin += atOnce) {
    const indices = Array.from({ length: Math.min(atOnce, count - begin) }, (_, i) => begin + i);
    for (const [i, result] of (await Promise.all(indices.map(work))).entries()) use(begin + i, result);
  }
}
