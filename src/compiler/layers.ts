/** What became of each layer: the record behind `--explain`. */

import type { Node } from '../graph/graph.ts';

export interface LayerRecord {
  /** Name of the node in the source model (of its output when it has none). */
  readonly name: string;
  /** Operator in the source model. */
  readonly source: string;
  /** The node that computes the layer now. */
  node: Node;
  /** What was folded into it, in order. */
  readonly folded: string[];
}

/** The operators that count as layers; those of the second line are never packed. */
export const LAYER_OPERATORS: ReadonlySet<string> = new Set([
  ...['Conv', 'Gemm', 'MatMul'],
  ...['ConvTranspose', 'Einsum'],
]);

/** Follows the layers of the source model through the rewrites. */
export class LayerLog {
  readonly #records: LayerRecord[] = [];
  readonly #byNode = new Map<Node, LayerRecord>();

  constructor(nodes: Iterable<Node>) {
    for (const node of nodes) {
      if (node.domain !== '' || !LAYER_OPERATORS.has(node.op)) continue;
      const record: LayerRecord = { name: nameOf(node), source: node.op, node, folded: [] };
      this.#records.push(record);
      this.#byNode.set(node, record);
    }
  }

  /** In the order of the source model. */
  get records(): readonly LayerRecord[] {
    return this.#records;
  }

  /** Says that `replacement` computes the layer of `node` from now on, with `folded` taken in. */
  move(node: Node, replacement: Node, folded?: string): void {
    const record = this.#byNode.get(node);
    if (record === undefined) return;
    record.node = replacement;
    this.#byNode.delete(node);
    this.#byNode.set(replacement, record);
    if (folded !== undefined) record.folded.push(folded);
  }
}

/** The node's name, or its output's when it has none. */
export function nameOf(node: Node): string {
  return node.name !== '' ? node.name : (node.outputs[0]?.name ?? '?');
}
