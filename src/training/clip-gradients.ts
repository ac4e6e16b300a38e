/** Clipping of gradients by their global norm (Pascanu et al., arXiv:1211.5063). */

import * as tf from '@tensorflow/tfjs-core';

/**
 * Scales all gradients by min(1, limit / norm), where norm is that of all of them together.
 *
 * @returns scaled gradients; takes the given ones over.
 */
export async function clipGradients(
  gradients: ReadonlyMap<string, tf.Tensor>,
  limit: number,
): Promise<ReadonlyMap<string, tf.Tensor>> {
  const squares = tf.tidy(() => tf.stack(Array.from(gradients.values(), (g) => tf.sum(tf.square(g)))));
  const norm = Math.sqrt(Array.from(await squares.data()).reduce((sum, value) => sum + value, 0));
  squares.dispose();
  if (norm <= limit) return gradients;
  const scaled = new Map<string, tf.Tensor>();
  for (const [name, gradient] of gradients) {
    scaled.set(name, tf.mul(gradient, limit / norm));
    gradient.dispose();
  }
  return scaled;
}
