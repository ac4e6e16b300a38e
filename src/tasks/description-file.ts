/** `MODEL.json` beside `MODEL.onnx`: what the model says of its pictures, for runtimes that do not show the metadata of a file. */

import { readFile, rm, stat } from 'node:fs/promises';
import { writeFileAtomic } from '../core/files/atomic-file-io.ts';
import { encodePreprocessing, type Preprocessing, parsePreprocessing } from '../core/pictures/preprocessing.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../errors.ts';

export interface WrittenDescription {
  /** Null where none was written. */
  readonly file: string | null;
  /** What the user should know. */
  readonly note?: string;
}

/** `net.onnx` → `net.json`. */
export function descriptionFile(model: string): string {
  return `${model.replace(/\.onnx$/i, '')}.json`;
}

/**
 * Writes the description of a model that was just written. One of an earlier export is replaced, or removed where the new model has
 * none, since it would be wrong. Any other file of that name stays: nobody named it.
 *
 * @throws {BnnError} E_IO when it cannot be read or written.
 */
export async function writeDescription(
  model: string,
  preprocessing: Preprocessing | null,
): Promise<WrittenDescription> {
  const file = descriptionFile(model);
  const found = await kindOf(file);
  if (found === 'other') {
    const note = `${file} is something else and stays as it is: how pictures are prepared is in the metadata of ${model} alone`;
    return { file: null, note };
  }
  if (preprocessing === null) {
    if (found === 'none') return { file: null };
    await rm(file);
    return {
      file: null,
      note: `${file} described an earlier model and was removed: this one does not say what pictures it wants`,
    };
  }
  await writeFileAtomic(file, `${encodePreprocessing(preprocessing, 2)}\n`);
  return { file };
}

async function kindOf(file: string): Promise<'none' | 'description' | 'other'> {
  try {
    // Reading from a pipe would wait for its writer.
    if (!(await stat(file)).isFile()) return 'other';
    parsePreprocessing(await readFile(file, 'utf8'));
    return 'description';
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT') return 'none';
    if (error instanceof BnnError && error.code === 'E_FORMAT') return 'other';
    throw fromSystemError(error, 'read', file);
  }
}
