/**
 * What the constants of a packed model take: on paper, in the file, and in memory once a session has loaded them.
 *
 * - Ideal: one bit per binary weight and 32 per other parameter, the count that papers give.
 * - Stock onnxruntime runs the body of a packed layer, which unpacks the bits to float32 when the session is made: 4 bytes per weight.
 * - With our op library a session holds the packed bytes as they are in the file, and beside them the weights in the order of the
 *   kernels: rows of whole 32-bit words, 4 words at a time, outputs rounded up to tiles, and one sum per tap for the padding
 *   (`native/kernels/binary_conv/prepare.cc`). A layer of which only the weights are binary is unpacked there too, to 4 bytes per weight
 *   (`native/kernels/binary_weight/binary_weight.h`), or transformed to 16 per 3×3 weights (`native/kernels/binary_weight/winograd.h`).
 *
 * Activations, plans that depend on the image size, and freed blocks that the allocator keeps are not in these figures.
 */

import type { Graph, Node, Value } from '../graph/graph.ts';
import type { Model } from '../graph/model.ts';
import { layerStatistics } from '../graph/statistics.ts';
import { LAYER_VARIANTS, type LayerVariant } from '../operators/variants.ts';
import { isLayer } from './layers.ts';

export interface Sizes {
  readonly idealBits: number;
  /** Bytes of the constants in the file. */
  readonly fileBytes: number;
  /** Resident in a stock onnxruntime. */
  readonly stockBytes: number;
  /** Resident with our op library. */
  readonly opsBytes: number;
}

export const NO_SIZES: Sizes = { idealBits: 0, fileBytes: 0, stockBytes: 0, opsBytes: 0 };

/** Outputs that a tile computes together, and rows of a dense float tile (`native/kernels/binary_conv/tile.h`). */
const TILE_OUTPUTS = 4;
const TILE_ROWS = 64;
const WORD_BITS = 32;
/** Words of a row come in fours. */
const ROW_WORDS = 4;
/** Bytes of the transform of 3×3 weights, and the least channels and outputs of a group for which there is one. */
const TRANSFORMED_BYTES = 16;
const LEAST_TRANSFORMED = 16;

function roundUp(count: number, unit: number): number {
  return Math.ceil(count / unit) * unit;
}

/** The sizes of each node that has constants, in execution order; what several nodes share counts for the first. */
export function nodeSizes(model: Model): Map<Node, Sizes> {
  const ideal = new Map(
    layerStatistics(model).map(({ node, oneBitParameters, floatParameters }) => [
      node,
      oneBitParameters + 32 * floatParameters,
    ]),
  );
  const counted = new Set<Value>();
  const sizes = new Map<Node, Sizes>();
  for (const node of model.graph.nodes()) {
    let [fileBytes, unpacked] = [0, 0];
    const variant = node.domain === 'bnn' ? LAYER_VARIANTS.get(node.op) : undefined;
    for (const [index, value] of node.inputs.entries()) {
      const bytes = value?.constant?.data.byteLength ?? 0;
      if (value === null || bytes === 0 || counted.has(value)) continue;
      counted.add(value);
      fileBytes += bytes;
      if (variant === undefined || index !== 1) unpacked += bytes;
    }
    if (fileBytes === 0 && variant === undefined) continue;
    const kernel = variant === undefined ? null : kernelBytes(node, variant);
    sizes.set(node, {
      idealBits: ideal.get(node) ?? 0,
      fileBytes,
      stockBytes: unpacked + (kernel?.stock ?? 0),
      opsBytes: fileBytes + (kernel?.ops ?? 0),
    });
  }
  return sizes;
}

/** What a packed layer has beside its constants: the unpacked weights of the function body, or those of the kernel. */
function kernelBytes(node: Node, variant: LayerVariant): { readonly stock: number; readonly ops: number } {
  const [outputs = 0, ...rest] = node.requiredInput(1).constant?.shape ?? [];
  const taps = rest.slice(0, -1).reduce((product, size) => product * size, 1);
  const rowBits = taps * node.int('channels', 0);
  const groups = node.int('group', 1);
  const stock = 4 * outputs * rowBits;
  if (variant.weightOnly && isTransformed(node, outputs / groups)) {
    const filters = groups * roundUp(outputs / groups, TILE_OUTPUTS) * node.int('channels', 0);
    return { stock, ops: TRANSFORMED_BYTES * filters + 8 * outputs };
  }
  if (variant.weightOnly) {
    const tile = variant.layer === 'Gemm' ? TILE_ROWS : TILE_OUTPUTS;
    // Scale and bias are copied as they are.
    return { stock, ops: 4 * groups * roundUp(outputs / groups, tile) * rowBits + 8 * outputs };
  }
  const padded = groups * roundUp(outputs / groups, TILE_OUTPUTS);
  const words = roundUp(Math.ceil(rowBits / WORD_BITS), ROW_WORDS);
  return { stock, ops: 4 * padded * (words + taps + 2) };
}

/** Whether the kernel of a weight-only layer goes by Winograd's tiles. */
function isTransformed(node: Node, outputs: number): boolean {
  const [, rows, columns] = node.requiredInput(1).constant?.shape ?? [];
  const steps = [...node.ints('strides', [1, 1]), ...node.ints('dilations', [1, 1])];
  const isNeighbours = rows === 3 && columns === 3 && steps.every((step) => step === 1);
  return isNeighbours && Math.min(node.int('channels', 0), outputs) >= LEAST_TRANSFORMED;
}

export function addSizes(all: Iterable<Sizes>): Sizes {
  const total = { idealBits: 0, fileBytes: 0, stockBytes: 0, opsBytes: 0 };
  for (const { idealBits, fileBytes, stockBytes, opsBytes } of all) {
    total.idealBits += idealBits;
    total.fileBytes += fileBytes;
    total.stockBytes += stockBytes;
    total.opsBytes += opsBytes;
  }
  return total;
}

/**
 * Bytes of the constant behind each layer's weights, by the layer's node; taken before anything is rewritten.
 *
 * @param source  the graph as it was in the file, where its constants may have had another dtype.
 */
export function weightBytes(graph: Graph, source: Graph = graph): ReadonlyMap<Node, number> {
  const bytes = new Map<Node, number>();
  for (const node of graph.nodes()) {
    if (!isLayer(node)) continue;
    let largest = 0;
    for (const input of node.inputs.slice(0, node.op.startsWith('QLinear') ? 4 : 2)) {
      for (const constant of constantsBehind(input)) {
        const original = source.values.get(constant.name)?.constant ?? constant.constant;
        largest = Math.max(largest, original?.data.byteLength ?? 0);
      }
    }
    bytes.set(node, largest);
  }
  return bytes;
}

/** The constants that a value is computed from; none when an input of the graph takes part. */
function constantsBehind(value: Value | null): Value[] {
  const found: Value[] = [];
  const seen = new Set<Value>();
  const pending = [value];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next === null || seen.has(next)) continue;
    seen.add(next);
    if (next.constant !== null) found.push(next);
    else if (next.producer === null) return [];
    else for (const input of next.producer.inputs) pending.push(input);
  }
  return found;
}
