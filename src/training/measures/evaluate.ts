/** Loss and accuracy of a program over a split. */

import * as tf from '@tensorflow/tfjs-core';
import { isOutOfMemory } from '../../backends/out-of-memory.ts';
import type { Batch } from '../../data/batches/batch-maker.ts';
import { BnnError } from '../../errors.ts';
import { crossEntropy, type Outcome, readOutcome, stackFigures } from '../learning/loss.ts';
import type { ImageSize } from '../learning/mix-batch.ts';
import { type PictureData, partOfPictures, picturesOf, uploadPictures } from '../learning/upload-pictures.ts';
import type { Program, RunSettings } from '../program/program.ts';

/** Pictures that are read, and evaluated, at once. */
export const EVALUATION_BATCH = 250;
/** What a batch of them may take. */
const BATCH_BYTES = 2 ** 30;

/** Pictures that are read at once: fewer where they are large. */
export function evaluationBatch({ height, width, channels }: ImageSize): number {
  return Math.max(1, Math.min(EVALUATION_BATCH, Math.floor(BATCH_BYTES / (4 * height * width * channels))));
}

export interface Evaluation {
  readonly images: number;
  /** Mean cross-entropy, without label smoothing. */
  readonly loss: number;
  /** Share of images whose decision is the label, 0 … 1. */
  readonly top1: number;
  /** The class that is decided for, by position in the split; −1 for a picture that was left out, or whose logits are NaN. */
  readonly predictions: readonly number[];
  /** How probable that class is, 0 … 1; 0 where there is none. */
  readonly confidences: readonly number[];
}

/** A split in batches. */
interface Batches {
  epoch(epoch: number): AsyncIterable<Batch>;
}

export interface EvaluationOptions {
  /** Stops early when it fires; the result is then of a part. */
  readonly signal?: AbortSignal | undefined;
  /** Pictures that go through the program at once; a whole batch unless told. */
  readonly most?: number | undefined;
}

/**
 * Goes through the split once, with running statistics.
 *
 * @throws {BnnError} E_BACKEND when there is too little memory.
 */
export async function evaluate(
  program: Program,
  batcher: Batches,
  image: ImageSize,
  settings: RunSettings,
  { signal, most = Infinity }: EvaluationOptions = {},
): Promise<Evaluation> {
  let images = 0;
  let loss = 0;
  let correct = 0;
  const predictions: number[] = [];
  const confidences: number[] = [];
  for await (const batch of batcher.epoch(0)) {
    if (signal?.aborted === true) break;
    for (let from = 0; from < batch.count; from += most) {
      const part = partOf(batch, image, from, Math.min(most, batch.count - from));
      const { outcome, decisions } = await evaluatePart(program, part, image, settings);
      loss += outcome.loss * part.count;
      // Not those of the outcome: a backend's arg-max takes NaN for class 0.
      correct += decisions.filter(({ decision }, row) => decision === part.labels[row]).length;
      images += part.count;
      for (const [row, { decision, confidence }] of decisions.entries()) {
        const index = batch.indices[from + row] ?? 0;
        while (predictions.length < index) predictions.push(-1);
        while (confidences.length < index) confidences.push(0);
        predictions[index] = decision;
        confidences[index] = confidence;
      }
    }
  }
  return { images, loss: loss / images, top1: correct / images, predictions, confidences };
}

interface Decision {
  readonly decision: number;
  readonly confidence: number;
}

const NO_DECISION: Decision = { decision: -1, confidence: 0 };

/** The class of each picture: of the largest logit, the first of equals; of one logit, whether it is above 0. */
function decisionsOf(logits: ArrayLike<number>, count: number): Decision[] {
  const classes = logits.length / count;
  return Array.from({ length: count }, (_, row) => {
    const at = (k: number): number => logits[row * classes + k] ?? Number.NaN;
    for (let k = 0; k < classes; k++) if (Number.isNaN(at(k))) return NO_DECISION;
    if (classes === 1) return { decision: at(0) > 0 ? 1 : 0, confidence: 1 / (1 + Math.exp(-Math.abs(at(0)))) };
    let best = 0;
    for (let k = 1; k < classes; k++) if (at(k) > at(best)) best = k;
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += Math.exp(at(k) - at(best));
    return { decision: best, confidence: 1 / sum };
  });
}

interface Part {
  readonly pictures: PictureData;
  readonly labels: Int32Array;
  readonly count: number;
}

function partOf(batch: Batch, size: ImageSize, from: number, count: number): Part {
  const { labels } = batch;
  const pictures = picturesOf(batch);
  return {
    pictures: count === batch.count ? pictures : partOfPictures(pictures, size, from, count),
    labels: labels.subarray(from, from + count),
    count,
  };
}

async function evaluatePart(
  program: Program,
  { pictures, labels, count }: Part,
  size: ImageSize,
  settings: RunSettings,
): Promise<{ readonly outcome: Outcome; readonly decisions: readonly Decision[] }> {
  try {
    const x = uploadPictures(pictures, count, size);
    const classes = tf.tensor1d(labels, 'int32');
    const logits = await program.inferInTurns(x, settings);
    const result = crossEntropy(logits, classes, 0);
    const outcome = await readOutcome(stackFigures(result));
    const decisions = decisionsOf(await logits.data(), count);
    tf.dispose([x, classes, logits, result.loss, result.correct, result.dlogits]);
    return { outcome, decisions };
  } catch (error) {
    if (!isOutOfMemory(error)) throw error;
    throw new BnnError('E_BACKEND', `there is too little memory to evaluate ${count} pictures at once`, {
      hint: 'close what else uses the device, or choose smaller pictures or a smaller network',
      cause: error,
    });
  }
}
