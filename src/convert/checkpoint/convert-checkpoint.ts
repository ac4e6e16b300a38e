/** The entry for checkpoints: named tensors in, the latent form and a report out. */

import type { Tensor } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import type { Model } from '../../graph/model.ts';
import { type Converted, type ConvertOptions, convertOnnx } from '../convert-onnx.ts';
import { deriveWeights } from './derived-weights.ts';
import { modelFromMapping } from './mapped-model.ts';
import { type Mapping, namesOf } from './mapping.ts';
import type { NamedTensors } from './prefix.ts';
import { fittingHint, modelFromZoo } from './zoo-checkpoint.ts';

export interface CheckpointOptions extends ConvertOptions {
  /** A network of the zoo. */
  readonly network?: string | undefined;
  readonly mapping?: Mapping | undefined;
  /** What stands in front of the names of the network; found out when the names are there behind one prefix only. */
  readonly prefix?: string | undefined;
}

export interface ConvertedCheckpoint extends Converted {
  /** The network with its weights before anything is recognized: what a conversion is compared with. */
  readonly source: Model;
}

/** Counters that inference does not need. */
const IGNORED = /(^|\.)num_batches_tracked$/;
const MOST_NAMES = 6;

/**
 * Converts a checkpoint with the weights of a zoo network, or of the network that a mapping describes.
 *
 * @throws {BnnError} E_USAGE when neither or both are given, and what reading and conversion throw.
 */
export function convertCheckpoint(
  checkpoint: { readonly tensors: ReadonlyMap<string, Tensor> },
  options: CheckpointOptions,
): ConvertedCheckpoint {
  const { network, mapping, at } = options;
  const { tensors, notes } = deriveWeights(checkpoint.tensors, mapping && namesOf(mapping));
  if (network !== undefined && mapping !== undefined) {
    throw new BnnError('E_USAGE', 'a network and a mapping are given, expected one of them', { at });
  }
  if (network === undefined && mapping === undefined) {
    throw new BnnError('E_USAGE', 'a file of weights does not say what network they belong to', {
      at,
      hint: fittingHint(tensors),
    });
  }
  const where = { prefix: options.prefix, at };
  const built =
    mapping === undefined ? modelFromZoo(tensors, network ?? '', where) : modelFromMapping(tensors, mapping, where);
  const converted = convertOnnx(built.model, options);
  const all = [...notes, ...built.notes, ...notesOf(built.named, built.unused)];
  const report = { ...converted.report, changes: [...converted.report.changes, ...all] };
  return { ...converted, report, source: built.model };
}

function notesOf({ prefix, others, isUnwrapped }: NamedTensors, unused: readonly string[]): string[] {
  const notes: string[] = [];
  if (prefix !== '') notes.push(`"${prefix}" in front of the names of the checkpoint is left out`);
  if (isUnwrapped) notes.push('the names of wrappers inside the names of the checkpoint are left out');
  const left = [...unused.map((name) => prefix + name), ...others].filter((name) => !IGNORED.test(name));
  if (left.length > 0) {
    const shown = left.slice(0, MOST_NAMES).join(', ') + (left.length > MOST_NAMES ? ', …' : '');
    const which = left.length === 1 ? '1 entry of the checkpoint is' : `${left.length} entries of the checkpoint are`;
    notes.push(`${which} not used: ${shown}`);
  }
  return notes;
}
