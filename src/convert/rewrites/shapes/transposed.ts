/** Transpositions, as rewrites see them. */

import type { Value } from '../../../graph/graph.ts';

/** The operand of a Transpose with a known order, if the value is one. */
export function transposed(value: Value | null): { readonly x: Value; readonly perm: readonly number[] } | null {
  const node = value?.producer ?? null;
  if (node?.is('Transpose') !== true) return null;
  const x = node.requiredInput(0);
  const perm = node.attribute('perm', 'ints') ?? x.shape?.map((_, axis, all) => all.length - 1 - axis);
  return perm === undefined ? null : { x, perm };
}
