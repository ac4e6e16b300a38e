/** Clipping of gradients by their global norm (Pascanu et al., arXiv:1211.5063). */

import * as tf from '@tensorflow/tfjs-core';
import type { ParameterInfo, ParameterRole } from '../program/parameters.ts';

/** Whose norm is limited: that of all together, or of binary weights, float weights and everything else apart. */
export const CLIP_GROUPS = ['all', 'role'] as const;
export type ClipGroup = (typeof CLIP_GROUPS)[number];

/**
 * As `clipGradients`, of each group on its own.
 *
 * @param parameters  tell roles.
 */
export async function clipByGroup(
  gradients: ReadonlyMap<string, tf.Tensor>,
  limit: number,
  group: ClipGroup,
  parameters: ReadonlyMap<string, Pick<ParameterInfo, 'role'>>,
): Promise<ReadonlyMap<string, tf.Tensor>> {
  if (group === 'all') return clipGradients(gradients, limit);
  const groups = new Map<string, Map<string, tf.Tensor>>();
  for (const [name, gradient] of gradients) {
    const key = groupOf(parameters.get(name)?.role);
    groups.set(key, (groups.get(key) ?? new Map<string, tf.Tensor>()).set(name, gradient));
  }
  const clipped: [string, tf.Tensor][] = [];
  for (const members of groups.values()) clipped.push(...(await clipGradients(members, limit)));
  return new Map(clipped);
}

function groupOf(role: ParameterRole | undefined): string {
  return role === 'binary-weight' || role === 'weight' ? role : 'other';
}

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
