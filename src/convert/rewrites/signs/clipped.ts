/** What a Clip or a Relu does, as a rewrite sees it. */

import type { Node, Value } from '../../../graph/graph.ts';
import { scalarOf } from '../../../rewriting/add-op.ts';
import { type Miss, miss } from '../../../rewriting/miss.ts';

export interface Clipped {
  readonly source: Value;
  readonly low: number;
  readonly high: number;
}

/** What a Clip or a Relu clips, and to what. */
export function clipped(root: Node): Clipped | Miss {
  const inner = root.requiredInput(0).producer;
  if (inner?.is('Relu') === true) return { source: inner.requiredInput(0), low: 0, high: Infinity };
  if (inner?.is('Clip') !== true) return miss(root, 'its data are not clipped');
  const low = inner.input(1) === null ? -Infinity : scalarOf(inner.input(1));
  const high = inner.input(2) === null ? Infinity : scalarOf(inner.input(2));
  if (low === null || high === null || !(low < high)) return miss(inner, 'its bounds are no constants in order');
  return { source: inner.requiredInput(0), low, high };
}
