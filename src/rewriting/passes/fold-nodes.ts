import type { Node } from '../../graph/graph.ts';
import type { RewriteContext } from '../context.ts';
import type { Exact } from '../exact/exact.ts';
import { removeDead } from '../rewrite.ts';

/**
 * Replaces nodes by constants.
 *
 * @param fold  what a node of one output computes, or null where it stays.
 * @returns     whether something changed.
 */
export function foldNodes(context: RewriteContext, fold: (node: Node) => Exact | null): boolean {
  const { graph } = context;
  let isChanged = false;
  for (const node of graph.nodes()) {
    // A graph output must be computed by a node.
    if (node.outputs.length !== 1 || node.output.isOutput()) continue;
    const exact = fold(node);
    if (exact === null) continue;
    const folded = context.addExact(node.output.name, exact, node);
    context.names.inherit(folded, node.output);
    graph.replaceAllUses(node.output, folded);
    removeDead(graph, node);
    isChanged = true;
  }
  return isChanged;
}
