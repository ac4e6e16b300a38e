/**
 * Checkpoints: a folder with `model.onnx` (latent form), `optimizer.safetensors`, `state.json` and the digests of all three. A checkpoint appears
 * by rename, so a process killed at any moment leaves a complete one.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { recoverFolder, writeFolderAtomic } from '../../core/files/atomic-file-io.ts';
import { checkDigests, DIGESTS_FILE, formatDigests } from '../../core/files/digests-io.ts';
import { parseJsonObject } from '../../core/formats/parse-json.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/formats/safetensors.ts';
import type { Tensor } from '../../core/tensors/tensor.ts';
import { type Communicator, fromFirst, shareBytes } from '../../distributed/communicator.ts';
import { BnnError, fromSystemError } from '../../errors.ts';
import type { Model } from '../../graph/model.ts';
import { decodeModel } from '../../onnx/decode-model.ts';
import { encodeModel } from '../../onnx/encode-model.ts';
import { readModel } from '../../onnx/model-io.ts';
import { addBnnFunctions } from '../../operators/registry.ts';
import { checkStateFields, type TrainingState } from './training-state.ts';

/** Of `state.json`. Version 1 had no digests. */
const VERSION = 2;

const FILES = ['model.onnx', 'optimizer.safetensors', 'state.json'] as const;

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
  const files = {
    'model.onnx': encodeModel(model),
    'optimizer.safetensors': encodeSafetensors(optimizer),
    'state.json': `${JSON.stringify({ ...state, version: VERSION }, null, 2)}\n`,
  };
  await writeFolderAtomic(folder, { ...files, [DIGESTS_FILE]: formatDigests(files) });
}

/**
 * Reads and checks a checkpoint.
 *
 * @throws {BnnError} E_NOT_FOUND when there is none, E_FORMAT when a file of it is damaged.
 */
export async function loadCheckpoint(folder: string): Promise<Checkpoint> {
  await recoverFolder(folder);
  const [modelPath, optimizerPath, statePath] = FILES.map((name) => join(folder, name)) as [string, string, string];
  const stateBytes = await read(statePath);
  const isSealed = await checkDigests(folder, FILES);
  const state = parseState(stateBytes, isSealed, statePath);
  const { tensors } = decodeSafetensors(await read(optimizerPath), optimizerPath);
  return { model: await readModel(modelPath), optimizer: tensors, state, isSealed };
}

/** The checkpoint of process 0, for all. @param own  null in the others. */
export async function shareCheckpoint(communicator: Communicator, own: Checkpoint | null): Promise<Checkpoint> {
  const model = shareBytes(communicator, own && encodeModel(own.model));
  const optimizer = shareBytes(communicator, own && encodeSafetensors(own.optimizer));
  const rest = await fromFirst(communicator, () => ({ state: own?.state, isSealed: own?.isSealed }));
  if (own !== null) return own;
  const { state, isSealed = false } = rest;
  if (state === undefined) throw new Error('internal: process 0 shared no checkpoint');
  return { model: decodeModel(model), optimizer: decodeSafetensors(optimizer).tensors, state, isSealed };
}

async function read(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw fromSystemError(error, 'read the checkpoint', path);
  }
}

function parseState(bytes: Uint8Array, isSealed: boolean, at: string): TrainingState {
  const { version, ...fields } = parseJsonObject(new TextDecoder().decode(bytes), at);
  if (version !== 1 && version !== VERSION) {
    throw new BnnError(
      'E_FORMAT',
      `training state of version ${JSON.stringify(version) ?? 'none'}, expected ${VERSION}`,
      { at },
    );
  }
  if (isSealed !== (version === VERSION)) {
    const found = `training state of version ${version} ${isSealed ? 'with' : 'without'} ${DIGESTS_FILE}`;
    throw new BnnError('E_FORMAT', `${found}, which only version ${VERSION} has`, {
      at,
      hint: 'take the folder from a copy: files of two checkpoints were mixed, or one is missing',
    });
  }
  return checkStateFields(fields, at);
}
