/** Values that are factor · signs + offset, with two numbers for the whole tensor. */

import type { Value } from '../../graph/graph.ts';
import { isSignValued } from '../../operators/sign-valued.ts';
import { keepsRank, scalarOf } from '../../rewriting/add-op.ts';

export interface AffineSigns {
  /** Every element is −1 or +1. */
  readonly signs: Value;
  readonly factor: number;
  readonly offset: number;
}

const MAX_DEPTH = 16;

/** What a value is in terms of signs, or null. */
export function affineSignsOf(value: Value): AffineSigns | null {
  let [current, factor, offset] = [value, 1, 0];
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    if (isSignValued(current)) return { signs: current, factor, offset };
    const node = current.producer;
    if (node === null || node.domain !== '') return null;
    const [a, b] = [node.input(0), node.input(1)];
    if (a === null) return null;
    if (node.op === 'Identity' || node.op === 'Neg') {
      if (node.op === 'Neg') factor = -factor;
      current = a;
      continue;
    }
    if (b === null) return null;
    const [left, right] = [scalarOf(a), scalarOf(b)];
    const [inner, constant, number] = left === null ? [a, b, right] : [b, a, left];
    if (number === null || !keepsRank(constant, inner)) return null;
    const isFirst = inner === a;
    if (node.op === 'Mul') factor *= number;
    else if (node.op === 'Div' && isFirst) factor /= number;
    else if (node.op === 'Add') offset += factor * number;
    else if (node.op === 'Sub' && isFirst) offset -= factor * number;
    else if (node.op === 'Sub') {
      offset += factor * number;
      factor = -factor;
    } else return null;
    current = inner;
  }
  return null;
}
