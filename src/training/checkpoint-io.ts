/**
 * Checkpoints: a folder with `model.onnx` (latent form), `optimizer.safetensors` and `state.json`. A checkpoint appears by
 * rename, so a process killed at any moment leaves a complete one.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { recoverFolder, writeFolderAtomic } from '../core/atomic-file-io.ts';
import { decodeSafetensors, encodeSafetensors } from '../core/safetensors.ts';
import type { Tensor } from '../core/tensor.ts';
import { BnnError, fromSystemError } from '../errors.ts';
import type { Model } from '../graph/model.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import { readModel } from '../onnx/model-io.ts';
import { addBnnFunctions } from '../operators/registry.ts';

/** Sums over the batches of an unfinished epoch. */
export interface PartialEpoch {
  readonly loss: number;
  readonly correct: number;
  readonly images: number;
  readonly seconds: number;
  readonly waitMs: number;
}

export interface BestEpoch {
  /** Counts from 1. */
  readonly epoch: number;
  readonly top1: number;
}

/** Where a run stands. Shuffling and augmentation follow from the seed, the epoch and the batch, so no generator state is needed. */
export interface TrainingState {
  readonly version: 1;
  /** Epochs completed. */
  readonly epoch: number;
  /** Batches done of the epoch under way. */
  readonly batch: number;
  /** Optimizer steps taken. */
  readonly step: number;
  /** Seconds of training over all completed epochs. */
  readonly seconds: number;
  readonly partial: PartialEpoch;
  readonly best: BestEpoch | null;
  /** Fingerprint of the data set. */
  readonly data: string;
}

export interface Checkpoint {
  readonly model: Model;
  /** All tensors besides the network that the training needs to go on: the optimizer's, latent and averaged weights. */
  readonly optimizer: ReadonlyMap<string, Tensor>;
  readonly state: TrainingState;
}

/** @throws {BnnError} E_IO when the disk is full or the folder not writable; the former checkpoint is untouched. */
export async function saveCheckpoint(folder: string, { model, optimizer, state }: Checkpoint): Promise<void> {
  // So that any runtime can run a checkpoint.
  addBnnFunctions(model);
  await writeFolderAtomic(folder, {
    'model.onnx': encodeModel(model),
    'optimizer.safetensors': encodeSafetensors(optimizer),
    'state.json': `${JSON.stringify(state, null, 2)}\n`,
  });
}

/** @throws {BnnError} E_NOT_FOUND when there is none, E_FORMAT when a file of it is damaged. */
export async function loadCheckpoint(folder: string): Promise<Checkpoint> {
  await recoverFolder(folder);
  const model = await readModel(join(folder, 'model.onnx'));
  const optimizerPath = join(folder, 'optimizer.safetensors');
  const optimizer = decodeSafetensors(await read(optimizerPath), optimizerPath);
  const statePath = join(folder, 'state.json');
  return { model, optimizer: optimizer.tensors, state: parseState(await read(statePath), statePath) };
}

async function read(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw fromSystemError(error, 'read the checkpoint', path);
  }
}

function parseState(bytes: Uint8Array, at: string): TrainingState {
  let state: Partial<TrainingState> = {};
  try {
    state = JSON.parse(new TextDecoder().decode(bytes)) as Partial<TrainingState>;
  } catch (cause) {
    throw new BnnError('E_FORMAT', 'the training state is not JSON', { at, cause });
  }
  if (state.version !== 1 || state.partial === undefined || typeof state.epoch !== 'number') {
    throw new BnnError('E_FORMAT', `training state of version ${String(state.version)}, expected 1`, { at });
  }
  return state as TrainingState;
}
