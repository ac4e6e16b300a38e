/** Where a model is meant to come from: an ONNX file, a checkpoint folder, or a run folder with checkpoints. */

import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { checkDigests } from '../core/files/digests-io.ts';
import { describeFolder } from '../core/files/folder-kind-io.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../errors.ts';
import { packageModel } from './package-models-io.ts';

export const CHECKPOINTS = ['last', 'best'] as const;
export type CheckpointName = (typeof CHECKPOINTS)[number];

export interface ModelSource {
  /** The ONNX file. */
  readonly path: string;
  /** The run folder that it belongs to; null for a file or a lone checkpoint. */
  readonly run: string | null;
  readonly checkpoint: CheckpointName | null;
}

/**
 * Finds the ONNX file of a model, a checkpoint folder or a run folder; where there is none, that of a trained model of the package.
 *
 * Of a run, the default is `last`, or `best` when the run held out validation images: without them the best epoch was chosen by
 * the test set, and its test accuracy is no longer an honest estimate.
 *
 * @throws {BnnError} E_NOT_FOUND when there is no such file, or the folder holds no checkpoint; E_FORMAT when the model of a checkpoint
 *   is not the one that was saved.
 */
export async function findModel(path: string, checkpoint?: CheckpointName): Promise<ModelSource> {
  const found = await findFile(path, checkpoint);
  const folder = dirname(found.path);
  const isCheckpoint = basename(found.path) === 'model.onnx' && (await kindOf(join(folder, 'state.json'))) === 'file';
  // One of earlier versions has no digests.
  if (isCheckpoint) await checkDigests(folder, ['model.onnx']);
  return found;
}

async function findFile(path: string, checkpoint?: CheckpointName): Promise<ModelSource> {
  const kind = await kindOf(path);
  const named = kind === null && checkpoint === undefined ? packageModel(path) : null;
  if (named !== null) return { path: named.packed, run: null, checkpoint: null };
  if (kind === null) {
    throw new BnnError('E_NOT_FOUND', 'no such file or folder', {
      at: path,
      hint: 'give an .onnx file, a run folder, or a trained model by its name (bnn models)',
    });
  }
  if (kind === 'file') {
    if (checkpoint === undefined) return { path, run: null, checkpoint: null };
    throw new BnnError('E_USAGE', `a checkpoint (${checkpoint}) was asked for, but this is a file`, {
      at: path,
      hint: 'give the run folder, or leave --checkpoint out',
    });
  }
  if ((await kindOf(join(path, 'model.onnx'))) === 'file') {
    return { path: join(path, 'model.onnx'), run: null, checkpoint: null };
  }
  const name = checkpoint ?? ((await hasValidation(path)) ? 'best' : 'last');
  const file = join(path, name, 'model.onnx');
  // A run killed while a checkpoint was put in place has it aside.
  for (const candidate of [file, join(path, `${name}.old`, 'model.onnx')]) {
    if ((await kindOf(candidate)) === 'file') return { path: candidate, run: path, checkpoint: name };
  }
  const { what, hint = 'give an .onnx file or the folder of a run, e.g. runs/NAME' } = await describeFolder(path);
  const missing = `has no checkpoint "${name}": there is no ${file}`;
  const message = what.endsWith('a folder') ? `this folder ${missing}` : `this is ${what}, it ${missing}`;
  throw new BnnError('E_NOT_FOUND', message, { at: path, hint });
}

async function kindOf(path: string): Promise<'file' | 'folder' | null> {
  try {
    const status = await stat(path);
    if (status.isDirectory()) return 'folder';
    if (status.isFile()) return 'file';
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw fromSystemError(error, 'read', path);
  }
  // A pipe or a device could keep the reader waiting, or never end.
  throw new BnnError('E_IO', 'not a regular file, expected an ONNX file or a folder', {
    at: path,
    hint: 'give the path of a file',
  });
}

/** Reads the one field that matters here; the recipe as a whole is training's business. */
async function hasValidation(run: string): Promise<boolean> {
  try {
    const recipe: unknown = JSON.parse(await readFile(join(run, 'recipe.json'), 'utf8'));
    if (typeof recipe !== 'object' || recipe === null || !('validation' in recipe)) return false;
    return typeof recipe.validation === 'number' && recipe.validation > 0;
  } catch {
    return false;
  }
}
