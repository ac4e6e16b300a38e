/** The entry for checkpoints: named tensors in, the latent form and a report out. */

import type { Tensor } from '../../core/tensor.ts';
import { BnnError } from '../../errors.ts';
import type { Model } from '../../graph/model.ts';
import { type Converted, type ConvertOptions, convertOnnx } from '../convert-onnx.ts';
import { modelFromMapping } from './mapped-model.ts';
import type { Mapping } from './mapping.ts';
import { fittingHint, modelFromZoo } from './zoo-checkpoint.ts';

export interface CheckpointOptions extends ConvertOptions {
  /** A network of the zoo. */
  readonly network?: string | undefined;
  readonly mapping?: Mapping | undefined;
}

export interface ConvertedCheckpoint extends Converted {
  /** The network with its weights before anything is recognized: what a conversion is compared with. */
  readonly source: Model;
}

/**
 * Converts a checkpoint with the weights of a zoo network, or of the network that a mapping describes.
 *
 * @throws {BnnError} E_USAGE when neither or both are given, and what reading and conversion throw.
 */
export function convertCheckpoint(
  { tensors }: { readonly tensors: ReadonlyMap<string, Tensor> },
  options: CheckpointOptions,
): ConvertedCheckpoint {
  const { network, mapping, at } = options;
  if (network !== undefined && mapping !== undefined) {
    throw new BnnError('E_USAGE', 'a network and a mapping are given, expected one of them', { at });
  }
  if (network === undefined && mapping === undefined) {
    throw new BnnError('E_USAGE', 'a file of weights does not say what network they belong to', {
      at,
      hint: fittingHint(tensors),
    });
  }
  const { model, unused } =
    mapping === undefined ? modelFromZoo(tensors, network ?? '', at) : modelFromMapping(tensors, mapping, at);
  const converted = convertOnnx(model, options);
  if (unused.length === 0) return { ...converted, source: model };
  const note = `${unused.length} entries of the checkpoint are not used: ${unused.slice(0, 6).join(', ')}${unused.length > 6 ? ', …' : ''}`;
  const report = { ...converted.report, changes: [...converted.report.changes, note] };
  return { ...converted, report, source: model };
}
