/** How types read in messages and in printed graphs: `float32[N, 3, 32, 32]`. */

import type { Dim, Shape, ValueType } from './graph.ts';

/** What a symbolic size must look like to be printed bare. */
export const BARE_WORD = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** `32`, `N`, `"odd name"`, or `?` when unknown. */
export function formatDim(dim: Dim): string {
  if (dim === null) return '?';
  return typeof dim === 'number' || BARE_WORD.test(dim) ? String(dim) : JSON.stringify(dim);
}

/** `[N, 3]`, or `[...]` when not even the rank is known. */
export function formatShape(shape: Shape | null): string {
  return shape === null ? '[...]' : `[${shape.map(formatDim).join(', ')}]`;
}

/** `float32[N, 3]`, with `?` for an unknown dtype. */
export function formatType({ dtype, shape }: ValueType): string {
  return (dtype ?? '?') + formatShape(shape);
}
