/** Constant nodes, which inlined functions bring along, become constants of the graph. */

import { float32, int64s, scalar, type Tensor, tensor } from '../../core/tensors/tensor.ts';
import type { Graph, Node } from '../../graph/graph.ts';

/** The tensor that a Constant node gives; null for strings and other forms. */
function tensorOf(node: Node): Tensor | null {
  const [[name, attribute] = ['', undefined]] = Object.entries(node.attributes);
  if (attribute === undefined) return null;
  switch (attribute.kind) {
    case 'tensor':
      return attribute.value;
    case 'float':
      return name === 'value_float' ? scalar(attribute.value) : null;
    case 'int':
      return name === 'value_int' ? tensor('int64', [], BigInt64Array.of(BigInt(attribute.value))) : null;
    case 'floats':
      return float32([attribute.value.length], attribute.value);
    case 'ints':
      return int64s(attribute.value);
    default:
      return null;
  }
}

export function foldConstantNodes(graph: Graph): void {
  for (const node of graph.nodes()) {
    if (!node.is('Constant') || node.outputs.length !== 1 || node.output.isOutput()) continue;
    const constant = tensorOf(node);
    if (constant === null) continue;
    graph.replaceAllUses(node.output, graph.addConstant(node.output.name, constant));
    graph.removeNode(node);
  }
}
