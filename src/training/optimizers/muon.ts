/**
 * Muon: momentum whose matrix is replaced by the nearest orthogonal one (Jordan et al., "Muon: An optimizer for hidden layers in neural
 * networks", 2024). The step is scaled as in Liu et al., arXiv:2502.16982, so that it has the size of one of Adam, and decay is decoupled.
 *
 *     m ← μ·m + g    O = orthogonalize(g + μ·m)    w ← w − lr·(0.2·√max(rows, columns)·O + decay·w)
 */

import * as tf from '@tensorflow/tfjs-core';

export interface MuonAttributes {
  readonly lr: number;
  readonly momentum: number;
  readonly weightDecay: number;
}

/** Of the iteration, which brings all singular values near to 1, between 0.7 and 1.2, in five steps. */
const [A, B, C] = [3.4445, -4.775, 2.0315];
const STEPS = 5;
/** What an element of Adam's steps is about in size. */
const ADAM_SIZE = 0.2;

/** One step; returns [w′, m′]. The last dimension is one side of the matrix, all others together are the other. */
export function muon(
  weight: tf.Tensor,
  gradient: tf.Tensor,
  average: tf.Tensor,
  { lr, momentum, weightDecay }: MuonAttributes,
): [tf.Tensor, tf.Tensor] {
  return tf.tidy(() => {
    const next = tf.add(tf.mul(average, momentum), gradient);
    const columns = weight.shape.at(-1) ?? 1;
    const direction = tf.reshape(tf.add(gradient, tf.mul(next, momentum)), [-1, columns]) as tf.Tensor2D;
    const size = ADAM_SIZE * Math.sqrt(Math.max(...direction.shape));
    const step = tf.mul(tf.reshape(orthogonalize(direction), weight.shape), size);
    return [tf.sub(weight, tf.mul(tf.add(step, tf.mul(weight, weightDecay)), lr)), next];
  });
}

/** The matrix with its singular values brought near to 1, by a polynomial of it: X ← a·X + (b·XXᵀ + c·(XXᵀ)²)·X. */
export function orthogonalize(matrix: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const [rows, columns] = matrix.shape;
    // The products are as small as they can be.
    const isTall = rows > columns;
    let x: tf.Tensor2D = isTall ? tf.transpose(matrix) : matrix;
    x = tf.div(x, tf.add(tf.norm(x), 1e-7));
    for (let step = 0; step < STEPS; step++) {
      const square = tf.matMul(x, x, false, true);
      const polynomial = tf.add(tf.mul(square, B), tf.mul(tf.matMul(square, square), C)) as tf.Tensor2D;
      x = tf.add(tf.mul(x, A), tf.matMul(polynomial, x));
    }
    return isTall ? tf.transpose(x) : x;
  });
}
