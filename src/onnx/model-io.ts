/** ONNX files on disk. */

import { dirname } from 'node:path';
import { writeFileAtomic } from '../core/files/atomic-file-io.ts';
import { fileKindOf } from '../core/files/file-kind.ts';
import { readRegularFile } from '../core/files/regular-file-io.ts';
import { BnnError } from '../errors.ts';
import type { Model } from '../graph/model.ts';
import { decodeModel } from './decode-model.ts';
import { type EncodeOptions, encodeModel } from './encode-model.ts';
import { createExternalReader } from './external-data-io.ts';

/**
 * Reads a model, with tensors that it keeps in other files of its folder.
 *
 * @throws {BnnError} E_NOT_FOUND, E_IO, or what `decodeModel` throws, with the path.
 */
export async function readModel(path: string): Promise<Model> {
  return (await readSizedModel(path)).model;
}

export interface SizedModel {
  readonly model: Model;
  /** Of the file and of those in which it keeps tensors. */
  readonly fileBytes: number;
  /** Those in which it keeps tensors: their paths, in the order in which the file names them first. */
  readonly externalFiles: readonly string[];
}

/** The same, with the size of what was read. */
export async function readSizedModel(path: string): Promise<SizedModel> {
  const bytes = await readRegularFile(path, { expected: 'an ONNX file' });
  refuseForeign(bytes, path);
  const sizes = new Map<string, number>();
  const model = decodeModel(bytes, { at: path, readExternal: createExternalReader(dirname(path), path, sizes) });
  const fileBytes = bytes.byteLength + [...sizes.values()].reduce((sum, size) => sum + size, 0);
  return { model, fileBytes, externalFiles: [...sizes.keys()] };
}

/** @throws {BnnError} E_FORMAT naming what the bytes are, where they are known to be something else. */
export function refuseForeign(bytes: Uint8Array, at: string): void {
  const { kind, what, hint } = fileKindOf(bytes);
  if (kind === 'onnx' || kind === 'unknown') return;
  throw new BnnError('E_FORMAT', `not an ONNX file: this is ${what}`, { at, hint });
}

/**
 * Writes a model; the file appears complete or not at all.
 *
 * @throws {BnnError} E_IO or E_NOT_FOUND with the path.
 */
export async function writeModel(path: string, model: Model, options: EncodeOptions = {}): Promise<void> {
  await writeFileAtomic(path, encodeModel(model, options));
}
