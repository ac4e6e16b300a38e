/** Identity goes. */

import type { Node } from '../../graph/graph.ts';
import { defineRewrite, type Miss, miss } from '../rewrite.ts';

/**
 * Whether a node that only passes its input on can go. A graph output must have a node of its own: an input, a constant or
 * another output cannot take its name.
 */
export function passesThrough(root: Node): Miss | { readonly source: true } {
  const source = root.requiredInput(0);
  if (root.output.isOutput() && (source.producer === null || source.isOutput())) {
    return miss(root, 'it gives a graph output its name');
  }
  return { source: true };
}

export const REMOVE_IDENTITY = defineRewrite({
  name: 'remove-identity',
  doc: { before: 'Identity(x)', after: 'x', requires: 'not needed to name a graph output', exactness: 'bit-exact' },
  roots: ['Identity'],
  match: passesThrough,
  apply: (root) => root.requiredInput(0),
});
