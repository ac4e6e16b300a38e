import { BnnError } from '../errors.ts';

/** What there is an order of. */
interface Step<Node> {
  readonly inputs: readonly ({ readonly producer: Node | null } | null)[];
  describe(): string;
}

/**
 * The nodes with every producer before its readers; where that leaves a choice, in the given order.
 *
 * @throws {BnnError} E_FORMAT when there is a cycle.
 */
export function topologicalOrder<Node extends Step<Node>>(nodes: Iterable<Node>): Node[] {
  const sorted: Node[] = [];
  const state = new Map<Node, 'open' | 'done'>();
  // Depth first with a stack of its own: a deep graph would exhaust that of the language.
  for (const root of nodes) {
    const stack: { node: Node; nextInput: number }[] = [{ node: root, nextInput: 0 }];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { node } = top;
      if (state.get(node) === 'done') {
        stack.pop();
        continue;
      }
      state.set(node, 'open');
      if (top.nextInput === node.inputs.length) {
        state.set(node, 'done');
        sorted.push(node);
        stack.pop();
        continue;
      }
      const producer = node.inputs[top.nextInput++]?.producer ?? null;
      if (producer === null) continue;
      if (state.get(producer) === 'open') {
        throw new BnnError('E_FORMAT', 'the graph has a cycle', { at: producer.describe() });
      }
      stack.push({ node: producer, nextInput: 0 });
    }
  }
  return sorted;
}
