/** What became of each layer: the record behind `--explain`. */

import type { Node, Value } from '../../graph/graph.ts';
import { BNN_DOMAIN } from '../../operators/definition.ts';
import { factsOf } from '../../operators/operator-facts.ts';
import type { SourceNames } from '../source-names.ts';

/**
 * A constant of more bytes is a parameter wherever it stands; smaller ones are so only where the operator says it: shapes, bounds and
 * the like are none.
 */
export const LEAST_PARAMETER_BYTES = 256;

export interface LayerRecord {
  /** What users know it by in the source model. */
  readonly name: string;
  /** Operator in the source model. */
  readonly source: string;
  /** The node that computes the layer now. */
  node: Node;
  /** What was folded into it, in order. */
  readonly folded: string[];
}

/** Layers that the compiler may pack. */
const PACKABLE: ReadonlySet<string> = new Set(['Conv', 'Gemm', 'MatMul']);

const BEFORE_QUANTIZED = 'give the model from before it was quantized';
const BEFORE_OPTIMIZED = 'give the model from before onnxruntime optimized it';
const RECURRENT = 'recurrent layers are not packed; where each step is written as MatMul, its products are';

/** Layers that are never packed, and why; what would be packed in their place, where there is such a thing. */
const NEVER_PACKED: ReadonlyMap<string, string> = new Map([
  ['ConvTranspose', 'transposed convolutions are not packed; a Resize and a Conv in its place are'],
  ['Einsum', 'it is no product of matrices'],
  ...['GRU', 'LSTM', 'RNN'].map((op): [string, string] => [op, RECURRENT]),
  ...['ConvInteger', 'MatMulInteger', 'QLinearConv', 'QLinearMatMul'].map((op): [string, string] => [
    op,
    `integer operators are not packed: ${BEFORE_QUANTIZED}`,
  ]),
  ...['MatMulBnb4', 'MatMulNBits'].map((op): [string, string] => [
    `com.microsoft.${op}`,
    `weights in the blocks of onnxruntime are not packed: ${BEFORE_QUANTIZED}`,
  ]),
  ...['FusedConv', 'FusedGemm', 'FusedMatMul', 'NhwcFusedConv', 'QGemm'].map((op): [string, string] => [
    `com.microsoft.${op}`,
    `${op} is an operator of onnxruntime: ${BEFORE_OPTIMIZED}`,
  ]),
]);

/** Why a layer is never packed, whatever its operands are; null where they decide. */
export function whyNeverPacked(node: Node): string | null {
  if (node.is('Conv')) {
    const spatial = (node.input(1)?.shape?.length ?? 4) - 2;
    const instead = 'written as one of 2 for each step of the third, those would be packed';
    return spatial > 2 ? `it has ${spatial} spatial dimensions, binary convolutions have 2; ${instead}` : null;
  }
  if (PACKABLE.has(node.type)) return null;
  const reason = NEVER_PACKED.get(node.type);
  if (reason !== undefined) return reason;
  if (node.is('Gather')) return 'a table of which rows are looked up, not multiplied, is not packed';
  if (node.domain === 'com.microsoft') return `${node.op} is an operator of onnxruntime: ${BEFORE_OPTIMIZED}`;
  return `${node.op} is not packed: its constants stay as they are`;
}

/** Operators whose constants scale, shift or move data: they are folded into layers, or stand among what is left. */
const BESIDES: ReadonlySet<string> = new Set([
  ...['BatchNormalization', 'GroupNormalization', 'InstanceNormalization', 'LayerNormalization', 'RMSNormalization'],
  ...['QuantizeLinear', 'DequantizeLinear', 'Pad'],
]);

/** A layer, or any other operator that holds weights. */
export function isLayer(node: Node): boolean {
  if (PACKABLE.has(node.type) || NEVER_PACKED.has(node.type)) return true;
  const { elementwise, elementsOf } = factsOf(node);
  const isTable = node.is('Gather');
  if (elementwise !== undefined || BESIDES.has(node.type) || (elementsOf !== undefined && !isTable)) return false;
  if (node.domain === BNN_DOMAIN) return false;
  // What reads constants alone is folded.
  if (node.inputs.every((input) => input === null || storedBytes(input) > 0)) return false;
  return (isTable ? node.inputs.slice(0, 1) : node.inputs).some((input) => storedBytes(input) > LEAST_PARAMETER_BYTES);
}

/** Bytes of a constant, or of the one behind a dequantization. */
function storedBytes(value: Value | null): number {
  const stored = value?.producer?.is('DequantizeLinear') === true ? value.producer.input(0) : value;
  return stored?.constant?.data.byteLength ?? 0;
}

/** Follows the layers of the source model through the rewrites. */
export class LayerLog {
  readonly #records: LayerRecord[] = [];
  readonly #byNode = new Map<Node, LayerRecord>();
  readonly #names: SourceNames;

  constructor(nodes: Iterable<Node>, names: SourceNames) {
    this.#names = names;
    for (const node of nodes) {
      if (!isLayer(node)) continue;
      const record: LayerRecord = { name: names.nameOf(node), source: node.op, node, folded: [] };
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
    this.#names.inherit(replacement, node);
    this.#byNode.delete(node);
    this.#byNode.set(replacement, record);
    if (folded !== undefined) record.folded.push(folded);
  }
}

/** The node's name, or its output's when it has none. */
export function nameOf(node: Node): string {
  return node.name !== '' ? node.name : (node.outputs[0]?.name ?? '?');
}
