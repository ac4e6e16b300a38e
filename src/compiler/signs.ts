/** Values of which only the sign matters, and values that are signs already. */

import type { Node, Value } from '../graph/graph.ts';
import { packedVariant } from './binary-layer.ts';
import type { CompileContext } from './context.ts';

/** Operators that move or select elements of their first input: signs stay signs, and Sign commutes with them. */
export const SELECTORS: ReadonlySet<string> = new Set([
  'Flatten',
  'Identity',
  'MaxPool',
  'Reshape',
  'Squeeze',
  'Transpose',
  'Unsqueeze',
]);

/** The first reader that makes more of a value than its sign, `'output'` when it is a graph output, null when there is none. */
export function otherThanSigns(value: Value, context: CompileContext): Node | 'output' | null {
  if (context.graph.isOutput(value)) return 'output';
  for (const { node, index } of value.uses) {
    if (index === 0 && binarizesData(node)) continue;
    if (index !== 0 || !SELECTORS.has(node.type) || node.outputs.length > 1) return node;
    const found = otherThanSigns(node.output, context);
    if (found !== null) return found;
  }
  return null;
}

function binarizesData(node: Node): boolean {
  if (node.is('Sign', 'bnn')) return true;
  const variant = packedVariant(node);
  return variant !== undefined && !variant.weightOnly && !variant.threshold;
}

/** True when a value consists of −1 and +1 by the operators that compute it. */
export function isSigns(value: Value): boolean {
  let producer = value.producer;
  while (producer !== null && SELECTORS.has(producer.type)) producer = producer.requiredInput(0).producer;
  if (producer === null) return false;
  return producer.is('Sign', 'bnn') || packedVariant(producer)?.sign === true;
}
