/** What is in a file: the layers of a model with their sizes and costs, or the tensors of a checkpoint. */

import type { Preprocessing } from '../core/pictures/preprocessing.ts';
import type { Model } from '../graph/model.ts';
import { findModel } from '../inference/model-source-io.ts';
import { readSizedModel } from '../onnx/model-io.ts';
import { type Checkpoint, readSource } from './convert-source.ts';
import { preprocessingOf } from './describe-pictures.ts';
import { type ModelSummary, summarizeModel } from './model-summary.ts';

export interface ModelInspection extends ModelSummary {
  readonly kind: 'onnx';
  readonly file: string;
  readonly fileBytes: number;
  /** Its parameters in float32 against this file; null without weights of one bit. */
  readonly compression: number | null;
  /** Of the multiply-adds; null where some are not known. */
  readonly binaryShare: number | null;
  /** What the file says of its pictures; null when it does not. */
  readonly preprocessing: Preprocessing | null;
  /** With inferred shapes. */
  readonly model: Model;
}

export interface CheckpointTensor {
  /** As a mapping calls it. */
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Of Keras: where it lies in the file, and with which shape. */
  readonly path?: string;
  readonly stored?: readonly number[];
}

export interface CheckpointInspection {
  readonly kind: 'checkpoint';
  readonly file: string;
  readonly fileBytes: number;
  readonly format: string;
  readonly tensors: readonly CheckpointTensor[];
}

/**
 * Inspects an ONNX file, a run folder or a checkpoint of PyTorch or Keras.
 *
 * @throws {BnnError} E_NOT_FOUND, E_FORMAT for a file of another kind, and as the reader of its kind.
 */
export async function inspectFile(source: string): Promise<ModelInspection | CheckpointInspection> {
  const { path: file } = await findModel(source);
  const found = await readSource(file);
  if (found.kind !== 'onnx') return inspectCheckpoint(file, found);
  const { model, fileBytes } = await readSizedModel(file);
  const summary = summarizeModel(model);
  const { float32Bytes, oneBitParameters, binaryMacs, unknownLayers } = summary;
  const macs = binaryMacs + summary.floatMacs;
  return {
    kind: 'onnx',
    file,
    fileBytes,
    ...summary,
    compression: fileBytes === 0 || oneBitParameters === 0 ? null : float32Bytes / fileBytes,
    binaryShare: macs === 0 || unknownLayers.length > 0 ? null : binaryMacs / macs,
    preprocessing: preprocessingOf(model, file),
    model,
  };
}

function inspectCheckpoint(file: string, checkpoint: Checkpoint): CheckpointInspection {
  const tensors = Array.from(checkpoint.tensors, ([name, { dtype, shape }]) => {
    const entry = checkpoint.kind === 'keras' ? checkpoint.entries.get(name) : undefined;
    return { name, dtype, shape, ...(entry === undefined ? {} : { path: entry.path, stored: entry.shape }) };
  });
  return { kind: 'checkpoint', file, fileBytes: checkpoint.fileBytes, format: formatOf(checkpoint), tensors };
}

function formatOf(checkpoint: Checkpoint): string {
  if (checkpoint.kind === 'pytorch') return checkpoint.format;
  return checkpoint.kind === 'keras' ? 'hdf5' : checkpoint.kind;
}
