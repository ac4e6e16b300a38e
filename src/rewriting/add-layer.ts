import type { Attributes } from '../graph/attribute.ts';
import type { Node, Value } from '../graph/graph.ts';
import { addOp } from './add-op.ts';
import type { RewriteContext } from './context.ts';

/**
 * Adds, in front of a layer and under its name, the node that computes it from now on.
 *
 * @param type  as in `Node.type`.
 * @returns     the output, its type inferred.
 */
export function addLayer(
  root: Node,
  type: string,
  inputs: readonly (Value | null)[],
  attributes: Attributes,
  { graph, layers }: RewriteContext,
): Value {
  const output = addOp(graph, type, inputs, root, { attributes, name: root.name });
  layers.move(root, output.producer);
  return output;
}
