/** Loss and gradients of one batch: mixing, the teacher, the forward and the backward pass. */

import * as tf from '@tensorflow/tfjs-core';
import type { Batch } from '../data/batch-maker.ts';
import { BnnError } from '../errors.ts';
import { type Imitation, softmaxCrossEntropy } from './loss.ts';
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
  /** Mean over the batch. */
  readonly loss: number;
  /** How many arg-maxima equal the (main) label. */
  readonly correct: number;
  /** By parameter; the caller owns the tensors. */
  readonly gradients: ReadonlyMap<string, tf.Tensor>;
}

export async function learnBatch(
  program: Program,
  batch: Batch,
  size: ImageSize,
  settings: RunSettings,
  options: LearnOptions,
): Promise<Learned> {
  const { cutout, mixup, teacher, labelSmoothing } = options;
  const rng = mixRng(options.seed, options.epoch, batch.index);
  const { images, otherLabels, share } = mixBatch(batch.images, batch.labels, size, { cutout, mixup }, rng);
  const teacherLogits = teacher === undefined ? null : await teacher(images, batch.count, size);
  const x = tf.tensor4d(images, [batch.count, size.height, size.width, size.channels]);
  const labels = tf.tensor1d(batch.labels, 'int32');
  const other = otherLabels === null ? undefined : tf.tensor1d(otherLabels, 'int32');
  let imitation: Imitation | undefined;
  const { loss, gradients } = program.differentiate(x, settings, (logits) => {
    if (teacherLogits !== null) imitation = createImitation(teacherLogits, logits.shape, options);
    const mixed = other === undefined ? undefined : { labels: other, share };
    const result = softmaxCrossEntropy(logits, labels, labelSmoothing, { mixed, teacher: imitation });
    return { loss: result, dlogits: result.dlogits };
  });
  const lossNow = (await loss.loss.data())[0] ?? Number.NaN;
  const correct = (await loss.correct.data())[0] ?? 0;
  tf.dispose([x, labels, loss.loss, loss.correct]);
  other?.dispose();
  imitation?.logits.dispose();
  return { loss: lossNow, correct, gradients };
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
