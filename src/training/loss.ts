/** Softmax cross-entropy with label smoothing. */

import * as tf from '@tensorflow/tfjs-core';

export interface LossResult {
  /** Mean over the batch, a scalar. */
  readonly loss: tf.Tensor;
  /** How many arg-maxima equal the label, a scalar. */
  readonly correct: tf.Tensor;
  /** Gradient of the mean loss, [N, K]. */
  readonly dlogits: tf.Tensor;
}

/**
 * Cross-entropy between softmax(logits) and the target (1 − s)·onehot(label) + s/K (Szegedy et al., arXiv:1512.00567).
 *
 * @param logits    [N, K].
 * @param labels    int32[N], each in 0 … K − 1.
 * @param smoothing s in [0, 1).
 */
export function softmaxCrossEntropy(logits: tf.Tensor, labels: tf.Tensor, smoothing: number): LossResult {
  return tf.tidy(() => {
    const [count = 0, classes = 0] = logits.shape;
    const logProbability = tf.logSoftmax(logits as tf.Tensor2D);
    const oneHot = tf.cast(tf.oneHot(labels as tf.Tensor1D, classes), 'float32');
    const target = smoothing === 0 ? oneHot : tf.add(tf.mul(oneHot, 1 - smoothing), smoothing / classes);
    return {
      loss: tf.neg(tf.div(tf.sum(tf.mul(target, logProbability)), count)),
      correct: tf.sum(tf.cast(tf.equal(tf.argMax(logits, 1), labels), 'float32')),
      dlogits: tf.div(tf.sub(tf.exp(logProbability), target), count),
    };
  });
}
