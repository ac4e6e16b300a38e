/** Execution order for nodes that a file lists in any order. */

import type { DecodeContext } from './decode-context.ts';
import type { NodeProto } from './generated/onnx.ts';

/**
 * Orders nodes so that each follows the nodes it reads; nodes already in such an order keep it.
 *
 * @throws {BnnError} E_FORMAT on a cycle.
 */
export function sortNodes(nodes: readonly NodeProto[], context: DecodeContext): readonly NodeProto[] {
  const producers = new Map<string, NodeProto>();
  for (const node of nodes) for (const output of node.output) if (output !== '') producers.set(output, node);
  const sorted: NodeProto[] = [];
  const state = new Map<NodeProto, 'open' | 'done'>();
  for (const root of nodes) {
    // Depth first with a stack of its own: a chain may be longer than the call stack.
    const stack: { readonly node: NodeProto; nextInput: number }[] = [{ node: root, nextInput: 0 }];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { node } = top;
      if (state.get(node) === 'done') {
        stack.pop();
      } else if (top.nextInput === node.input.length) {
        state.set(node, 'done');
        sorted.push(node);
        stack.pop();
      } else {
        state.set(node, 'open');
        const producer = producers.get(node.input[top.nextInput++] ?? '');
        if (producer === undefined) continue;
        if (state.get(producer) === 'open') context.inside(describeNode(producer)).fail('the graph has a cycle');
        stack.push({ node: producer, nextInput: 0 });
      }
    }
  }
  return sorted;
}

/** `node "conv1" (Conv)` as `Node.describe` has it; names the output when the node has no name. */
export function describeNode(node: NodeProto): string {
  const name = node.name === null || node.name === '' ? (node.output[0] ?? '?') : node.name;
  const domain = node.domain === null || node.domain === '' ? '' : `${node.domain}.`;
  return `node "${name}" (${domain}${node.opType ?? '?'})`;
}
