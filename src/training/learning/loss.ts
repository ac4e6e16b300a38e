/** Cross-entropy of softmax, or of one logit, with label smoothing, mixed labels and a teacher. */

import * as tf from '@tensorflow/tfjs-core';
import { BnnError } from '../../errors.ts';

export interface LossResult {
  /** Mean over the batch, a scalar. */
  readonly loss: tf.Tensor;
  /** How many decisions equal the label, a scalar. */
  readonly correct: tf.Tensor;
  /** Gradient of the mean loss, of the shape of the logits. */
  readonly dlogits: tf.Tensor;
}

/** What is read of a batch. */
export interface Outcome {
  /** Mean over the batch. */
  readonly loss: number;
  /** How many decisions equal the (main) label. */
  readonly correct: number;
}

export interface LossExtras {
  /** Pictures over which means are taken, where these are a part of a batch: the parts' losses and gradients add up to the batch's. */
  readonly total?: number | undefined;
  /** Labels of a second picture in each image, int32[N], and the shares of both, which add up to 1, as scalars. */
  readonly mixed?: { readonly labels: tf.Tensor; readonly share: tf.Tensor; readonly rest: tf.Tensor } | undefined;
  /** Logits to imitate, of the shape of the network's. */
  readonly teacher?: Imitation | undefined;
}

export interface Imitation {
  readonly logits: tf.Tensor;
  /** Share w of the imitation in the loss, 0 … 1. */
  readonly weight: number;
  readonly temperature: number;
}

/**
 * The loss of a classifier: `softmaxCrossEntropy` of one logit for each class, or binary cross-entropy of one logit z, by which class 1
 * has the probability σ(z) and is decided for above 0. As σ(z) is the second of softmax(0, z), the one is computed by the other: as stable,
 * and with the same smoothing, mixing and teacher.
 *
 * @param logits  [N, K], or [N, 1] or [N] for two classes.
 * @param labels  int32[N], classes.
 * @throws {BnnError} E_SHAPE when there is not a row for each label.
 */
export function crossEntropy(
  logits: tf.Tensor,
  labels: tf.Tensor,
  smoothing: number,
  extras: LossExtras = {},
): LossResult {
  const [rows] = logits.shape;
  if (rows !== labels.shape[0]) {
    throw new BnnError(
      'E_SHAPE',
      `the network gives [${logits.shape.join(', ')}] for ${labels.shape[0]} pictures, not a row for each`,
      {
        hint: 'a reshape on the way mixes pictures',
      },
    );
  }
  if (logits.rank === 2 && logits.shape[1] !== 1) return softmaxCrossEntropy(logits, labels, smoothing, extras);
  return tf.tidy(() => {
    const count = logits.size;
    const beside = (z: tf.Tensor): tf.Tensor => tf.concat([tf.zeros([count, 1]), tf.reshape(z, [count, 1])], 1);
    const teacher = extras.teacher && { ...extras.teacher, logits: beside(extras.teacher.logits) };
    const { loss, correct, dlogits } = softmaxCrossEntropy(beside(logits), labels, smoothing, { ...extras, teacher });
    return { loss, correct, dlogits: tf.reshape(tf.slice(dlogits, [0, 1], [count, 1]), logits.shape) };
  });
}

/**
 * Cross-entropy between softmax(logits) and the target (1 − s)·onehot(label) + s/K (Szegedy et al., arXiv:1512.00567). With a teacher
 * (Hinton et al., arXiv:1503.02531) the loss is (1 − w)·cross-entropy + w·T²·KL(softmax(teacher/T) ‖ softmax(logits/T)).
 *
 * @param logits    [N, K].
 * @param labels    int32[N], each in 0 … K − 1.
 * @param smoothing s in [0, 1).
 */
export function softmaxCrossEntropy(
  logits: tf.Tensor,
  labels: tf.Tensor,
  smoothing: number,
  { mixed, teacher, total }: LossExtras = {},
): LossResult {
  return tf.tidy(() => {
    const [rows = 0, classes = 0] = logits.shape;
    const count = total ?? rows;
    const logProbability = tf.logSoftmax(logits as tf.Tensor2D);
    const oneHot = (of: tf.Tensor): tf.Tensor => tf.cast(tf.oneHot(of as tf.Tensor1D, classes), 'float32');
    const hard =
      mixed === undefined
        ? oneHot(labels)
        : tf.add(tf.mul(oneHot(labels), mixed.share), tf.mul(oneHot(mixed.labels), mixed.rest));
    const target = smoothing === 0 ? hard : tf.add(tf.mul(hard, 1 - smoothing), smoothing / classes);
    const loss: tf.Tensor = tf.neg(tf.div(tf.sum(tf.mul(target, logProbability)), count));
    const dlogits: tf.Tensor = tf.div(tf.sub(tf.exp(logProbability), target), count);
    const correct = tf.sum(tf.cast(tf.equal(tf.argMax(logits, 1), labels), 'float32'));
    if (teacher === undefined) return { loss, correct, dlogits };
    const imitation = imitate(logits, teacher, count);
    const blend = (own: tf.Tensor, other: tf.Tensor): tf.Tensor =>
      tf.add(tf.mul(own, 1 - teacher.weight), tf.mul(other, teacher.weight));
    return { loss: blend(loss, imitation.loss), correct, dlogits: blend(dlogits, imitation.dlogits) };
  });
}

/** [loss, correct]: reading one tensor waits for the device once. */
export function stackFigures({ loss, correct }: LossResult): tf.Tensor {
  return tf.stack([loss, correct]);
}

/** Reads what `stackFigures` returned, and disposes it. */
export async function readOutcome(figures: tf.Tensor): Promise<Outcome> {
  try {
    return outcomeOf(await figures.data());
  } finally {
    figures.dispose();
  }
}

/** @param figures  contents of what `stackFigures` returned. */
export function outcomeOf(figures: ArrayLike<number>): Outcome {
  return { loss: figures[0] ?? Number.NaN, correct: figures[1] ?? 0 };
}

/** T²·KL(softmax(teacher/T) ‖ softmax(logits/T)), mean over the batch, and its gradient T·(softmax(logits/T) − softmax(teacher/T))/N. */
function imitate(logits: tf.Tensor, { logits: goal, temperature }: Imitation, count: number) {
  const own = tf.logSoftmax(tf.div(logits, temperature) as tf.Tensor2D);
  const wanted = tf.logSoftmax(tf.div(goal, temperature) as tf.Tensor2D);
  const probability = tf.exp(wanted);
  const divergence = tf.sum(tf.mul(probability, tf.sub(wanted, own)));
  return {
    loss: tf.mul(divergence, temperature ** 2 / count),
    dlogits: tf.mul(tf.sub(tf.exp(own), probability), temperature / count),
  };
}
