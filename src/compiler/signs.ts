/** Values of which only the sign matters. */

import type { Node, Value } from '../graph/graph.ts';
import { factsOf, passesOn } from '../operators/operator-facts.ts';
import { packedVariant } from '../operators/variants.ts';

/** The first reader that makes more of a value than its sign, `'output'` when it is a graph output, null when there is none. */
export function otherThanSigns(value: Value): Node | 'output' | null {
  const seen = new Set<Value>();
  const pending = [value];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    if (next.isOutput()) return 'output';
    for (const { node, index } of next.uses) {
      if (index === 0 && binarizesData(node)) continue;
      const facts = factsOf(node);
      if (!passesOn(facts, index) || (node.outputs.length > 1 && facts.everyOutput !== true)) return node;
      pending.push(...node.outputs);
    }
  }
  return null;
}

function binarizesData(node: Node): boolean {
  if (node.is('Sign', 'bnn')) return true;
  const variant = packedVariant(node);
  return variant !== undefined && !variant.weightOnly && !variant.threshold;
}
