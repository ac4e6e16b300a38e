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
  for await (const batch of batcher.epoch(0)) {
    if (signal?.aborted === true) break;
    const x = tf.tensor4d(batch.images, [batch.count, image.height, image.width, image.channels]);
    const labels = tf.tensor1d(batch.labels, 'int32');
    const logits = await program.inferInTurns(x, settings);
    const result = softmaxCrossEntropy(logits, labels, 0);
    const outcome = await readOutcome(stackFigures(result));
    loss += outcome.loss * batch.count;
    correct += outcome.correct;
    images += batch.count;
    tf.dispose([x, labels, logits, result.loss, result.correct, result.dlogits]);
  }
  return { images, loss: loss / images, top1: correct / images };
}
