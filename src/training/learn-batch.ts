/** Loss and gradients of one batch: mixing, the teacher, the forward and the backward pass. */

import * as tf from '@tensorflow/tfjs-core';
import type { Batch } from '../data/batch-maker.ts';
import { BnnError } from '../errors.ts';
import {
  type Imitation,
  type LossResult,
  type Outcome,
  readOutcome,
  softmaxCrossEntropy,
  stackFigures,
} from './loss.ts';
import { type ImageSize, mixBatch, mixRng } from './mix-batch.ts';
import type { Program, RunSettings } from './program.ts';
import type { Teacher } from './train-options.ts';

export interface LearnOptions {
  readonly seed: number;
  readonly epoch: number;
  readonly labelSmoothing: number;
  readonly cutout: number;
  readonly mixup: number;
  readonly teacher: Teacher | undefined;
  readonly teacherWeight: number;
  readonly temperature: number;
}

export interface Learned {
  /** On its way from the device: whoever awaits it after the next step has been given to the device lets it work meanwhile. */
  readonly outcome: Promise<Outcome>;
  /** By parameter; the caller owns the tensors. */
  readonly gradients: ReadonlyMap<string, tf.Tensor>;
}

/** What a step needs of a batch. */
export type Pictures = Pick<Batch, 'images' | 'labels' | 'count' | 'index'>;

export async function learnBatch(
  program: Program,
  batch: Pictures,
  size: ImageSize,
  settings: RunSettings,
  options: LearnOptions,
): Promise<Learned> {
  const { cutout, mixup, teacher, labelSmoothing } = options;
  const rng = mixRng(options.seed, options.epoch, batch.index);
  const { images, otherLabels, share } = mixBatch(batch.images, batch.labels, size, { cutout, mixup }, rng);
  const teacherLogits = teacher === undefined ? null : await teacher(images, batch.count, size);
  const { figures, gradients } = await lossGradients(
    program,
    settings,
    () => tf.tensor4d(images, [batch.count, size.height, size.width, size.channels]),
    (logits) => {
      const imitation = teacherLogits === null ? undefined : createImitation(teacherLogits, logits.shape, options);
      const mixed = otherLabels === null ? undefined : { labels: tf.tensor1d(otherLabels, 'int32'), share };
      const labels = tf.tensor1d(batch.labels, 'int32');
      return softmaxCrossEntropy(logits, labels, labelSmoothing, { mixed, teacher: imitation });
    },
  );
  return { outcome: readOutcome(figures), gradients };
}

/**
 * Figures of the loss and gradients by parameter, the caller's. All else that is made meanwhile is disposed, also where a kernel throws,
 * for want of memory for one. The event loop gets turns; what it runs then may read tensors but not make any.
 */
export async function lossGradients(
  program: Program,
  settings: RunSettings,
  createInput: () => tf.Tensor,
  lossOf: (logits: tf.Tensor) => LossResult,
): Promise<{ readonly figures: tf.Tensor; readonly gradients: ReadonlyMap<string, tf.Tensor> }> {
  const engine = tf.engine();
  const kept: tf.Tensor[] = [];
  engine.startScope();
  try {
    const { loss, gradients } = await program.differentiateInTurns(createInput(), settings, (logits) => {
      const result = lossOf(logits);
      return { loss: result, dlogits: result.dlogits };
    });
    const figures = stackFigures(loss);
    kept.push(figures, ...gradients.values());
    return { figures, gradients };
  } finally {
    engine.endScope(kept);
  }
}

function createImitation(
  logits: Float32Array,
  shape: readonly number[],
  { teacherWeight: weight, temperature }: LearnOptions,
): Imitation {
  const wanted = shape.reduce((a, b) => a * b, 1);
  if (logits.length !== wanted) {
    throw new BnnError(
      'E_SHAPE',
      `the teacher gave ${logits.length} logits, the network has ${wanted} (${shape.join(' × ')})`,
      { hint: 'a teacher must know the same classes' },
    );
  }
  return { logits: tf.tensor(logits, [...shape]), weight, temperature };
}
