/** The function of one number, or softmax, that a network ends in. */

import type { Graph, Node } from './graph.ts';

/** What only puts numbers into another shape. */
const RESHAPING = new Set(['Dropout', 'Flatten', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze']);
const ACTIVATIONS = new Set(['HardSigmoid', 'LogSoftmax', 'Sigmoid', 'Sign', 'Softmax', 'Tanh', 'bnn.Sign']);

/** Of the only output of a graph; null where it ends in something else, or something else reads what is on the way. */
export function finalActivation(graph: Graph): Node | null {
  let node = graph.outputs[0]?.producer ?? null;
  let readers = 0;
  while (node !== null && RESHAPING.has(node.type) && node.output.uses.length === readers) {
    node = node.requiredInput(0).producer;
    readers = 1;
  }
  const isLast = node !== null && node.output.uses.length === readers && ACTIVATIONS.has(node.type);
  return isLast ? node : null;
}
