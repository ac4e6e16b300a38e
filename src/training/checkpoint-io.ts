/**
 * Checkpoints: a folder with `model.onnx` (latent form), `optimizer.safetensors` and `state.json`, which holds the digests of all three.
 * A checkpoint appears by rename, so a process killed at any moment leaves a complete one.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { recoverFolder, writeFolderAtomic } from '../core/atomic-file-io.ts';
import { decodeSafetensors, encodeSafetensors } from '../core/safetensors.ts';
import { assertDigest, openSealedJson, sealJson, sha256 } from '../core/sealed-json.ts';
import type { Tensor } from '../core/tensor.ts';
import { BnnError, fromSystemError } from '../errors.ts';
import type { Model } from '../graph/model.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import { readModel } from '../onnx/model-io.ts';
import { addBnnFunctions } from '../operators/registry.ts';
import { checkStateFields, type TrainingState } from './training-state.ts';

/** Of `state.json`. Version 1 had no digests. */
const VERSION = 2;

export interface Checkpoint {
  readonly model: Model;
  /** All tensors besides the network that the training needs to go on: the optimizer's, latent and averaged weights. */
  readonly optimizer: ReadonlyMap<string, Tensor>;
  readonly state: TrainingState;
  /** False for one of an earlier version, which has no digests: damage inside of its numbers cannot be seen. */
  readonly isSealed?: boolean;
}

/** @throws {BnnError} E_IO when the disk is full or the folder not writable; the former checkpoint is untouched. */
export async function saveCheckpoint(folder: string, { model, optimizer, state }: Checkpoint): Promise<void> {
  // So that any runtime can run a checkpoint.
  addBnnFunctions(model);
  const files = { 'model.onnx': encodeModel(model), 'optimizer.safetensors': encodeSafetensors(optimizer) };
  const digests = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, sha256(bytes)]));
  await writeFolderAtomic(folder, {
    ...files,
    'state.json': sealJson({ version: VERSION, ...state, files: digests }),
  });
}

/**
 * Reads and checks a checkpoint.
 *
 * @throws {BnnError} E_NOT_FOUND when there is none, E_FORMAT when a file of it is damaged.
 */
export async function loadCheckpoint(folder: string): Promise<Checkpoint> {
  await recoverFolder(folder);
  const [modelPath, optimizerPath, statePath] = ['model.onnx', 'optimizer.safetensors', 'state.json'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  const { state, digests } = parseState(await read(statePath), statePath);
  const optimizerBytes = await read(optimizerPath);
  if (digests !== null) {
    assertDigest(await read(modelPath), digests['model.onnx'], modelPath);
    assertDigest(optimizerBytes, digests['optimizer.safetensors'], optimizerPath);
  }
  const model = await readModel(modelPath);
  const { tensors } = decodeSafetensors(optimizerBytes, optimizerPath);
  return { model, optimizer: tensors, state, isSealed: digests !== null };
}

async function read(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw fromSystemError(error, 'read the checkpoint', path);
  }
}

interface Digests {
  readonly 'model.onnx': string;
  readonly 'optimizer.safetensors': string;
}

function parseState(bytes: Uint8Array, at: string): { state: TrainingState; digests: Digests | null } {
  const { fields, isSealed } = openSealedJson(new TextDecoder().decode(bytes), at);
  const { version, files, ...rest } = fields;
  if (version !== 1 && version !== VERSION) {
    throw new BnnError('E_FORMAT', `training state of version ${String(version)}, expected ${VERSION}`, { at });
  }
  if (isSealed !== (version === VERSION)) {
    throw new BnnError('E_FORMAT', `training state of version ${version} ${isSealed ? 'with' : 'without'} digests`, {
      at,
    });
  }
  const state = checkStateFields(isSealed ? rest : { ...rest, ...(files !== undefined && { files }) }, at);
  return { state, digests: isSealed ? (files as Digests) : null };
}
