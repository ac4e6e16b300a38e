/** Loss and accuracy of a program over a split. */

import * as tf from '@tensorflow/tfjs-core';
import type { Batcher } from '../data/batches.ts';
import { readOutcome, softmaxCrossEntropy, stackFigures } from './loss.ts';
import type { Program, RunSettings } from './program.ts';

export interface Evaluation {
  readonly images: number;
  /** Mean cross-entropy, without label smoothing. */
  readonly loss: number;
  /** Share of images whose arg-max is the label, 0 … 1. */
  readonly top1: number;
  /** The class that has the largest logit, by position in the split; −1 for a picture that was left out. */
  readonly predictions: readonly number[];
}

/** Goes through the split once, with running statistics; stops early when the signal fires (then the result is of a part). */
export async function evaluate(
  program: Program,
  batcher: Batcher,
  image: { readonly height: number; readonly width: number; readonly channels: number },
  settings: RunSettings,
  signal?: AbortSignal,
): Promise<Evaluation> {
  let images = 0;
  let loss = 0;
  let correct = 0;
  const predictions: number[] = [];
  for await (const batch of batcher.epoch(0)) {
    if (signal?.aborted === true) break;
    const x = tf.tensor4d(batch.images, [batch.count, image.height, image.width, image.channels]);
    const labels = tf.tensor1d(batch.labels, 'int32');
    const logits = await program.inferInTurns(x, settings);
    const result = softmaxCrossEntropy(logits, labels, 0);
    const outcome = await readOutcome(stackFigures(result));
    const scores = await logits.data();
    const classes = scores.length / batch.count;
    for (const [row, index] of batch.indices.entries()) {
      while (predictions.length < index) predictions.push(-1);
      predictions[index] = largest(scores.subarray(row * classes, (row + 1) * classes));
    }
    loss += outcome.loss * batch.count;
    correct += outcome.correct;
    images += batch.count;
    tf.dispose([x, labels, logits, result.loss, result.correct, result.dlogits]);
  }
  return { images, loss: loss / images, top1: correct / images, predictions };
}

/** The position of the largest value, the first of equals. */
function largest(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] ?? 0) > (values[best] ?? 0)) best = i;
  return best;
}
