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

/** Layers of integers; their weights are input 1, or 3 where each operand has a scale. */
export const INTEGER_LAYERS: ReadonlySet<string> = new Set([
  ...['ConvInteger', 'MatMulInteger', 'QLinearConv', 'QLinearMatMul'],
]);

/** The types of nodes that count as layers; those from the second line on are never packed. The last are what onnxruntime optimizes to. */
const LAYER_TYPES: ReadonlySet<string> = new Set([
  ...['Conv', 'Gemm', 'MatMul'],
  ...['ConvTranspose', 'Einsum', ...INTEGER_LAYERS],
  ...['FusedConv', 'FusedGemm', 'FusedMatMul', 'NhwcFusedConv', 'QGemm'].map((op) => `com.microsoft.${op}`),
]);

export function isLayer(node: Node): boolean {
  return LAYER_TYPES.has(node.type);
}

/** Follows the layers of the source model through the rewrites. */
export class LayerLog {
  readonly #records: LayerRecord[] = [];
  readonly #byNode = new Map<Node, LayerRecord>();

  constructor(nodes: Iterable<Node>) {
    for (const node of nodes) {
      if (!isLayer(node)) continue;
      const record: LayerRecord = { name: nameOf(node), source: node.op, node, folded: [] };
      this.#records.push(record);
      this.#byNode.set(node, record);
    }
  }

  /** In the order of the source model. */
  get records(): readonly LayerRecord[] {
    return this.#records;
  }

  /** Says that `replacement`, where there is one, computes the layer of `node` from now on, with `folded` taken in. */
  move(node: Node, replacement: Node | null, folded?: string): void {
    const record = this.#byNode.get(node);
    if (record === undefined || replacement === null) return;
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
