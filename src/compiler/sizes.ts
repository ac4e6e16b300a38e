/**
 * What the constants of a packed model take: on paper, in the file, and in memory once a session has loaded them.
 *
 * - Ideal: one bit per binary weight and what it is stored in per other parameter (32 bits of a float), the count that papers give.
 * - Stock onnxruntime runs the body of a packed layer, which unpacks the bits to float32 when the session is made: 4 bytes per weight.
 * - With our op library a session holds the packed bytes as they are in the file, and beside them the weights in the order of the
 *   kernels: rows of whole 32-bit words, 4 words at a time, outputs rounded up to tiles, and one sum per tap for the padding
 *   (`native/kernels/binary_conv/prepare.cc`). A layer of which only the weights are binary is unpacked there too, to 4 bytes per weight
 *   (`native/kernels/binary_weight/binary_weight.h`), or transformed to 16 per 3×3 weights (`native/kernels/binary_weight/winograd.h`).
 *
 * Activations, plans that depend on the image size, and freed blocks that the allocator keeps are not in these figures.
 */

import type { Tensor } from '../core/tensors/tensor.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import type { Model } from '../graph/model.ts';
import { type LayerVariant, packedVariant } from '../operators/variants.ts';
import { EqualConstants } from '../rewriting/equal-constants.ts';
import { isLayer, whyNeverPacked } from '../rewriting/layers/layers.ts';
import { computingNodes, layerStatistics } from './statistics.ts';

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

/** Of parameters counted by the bits that each takes. */
export function bitsOf(parameters: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const [bits, count] of parameters) sum += bits * count;
  return sum;
}

/**
 * The sizes of each node that has constants, in execution order; what several nodes share counts for the first, and what is computed
 * from constants alone counts where it meets data.
 */
export function nodeSizes(model: Model): Map<Node, Sizes> {
  const ideal = new Map(layerStatistics(model).map(({ node, parameters }) => [node, bitsOf(parameters)]));
  const computing = computingNodes(model.graph);
  const counted = new Set<Value>();
  const sizes = new Map<Node, Sizes>();
  for (const node of model.graph.nodes()) {
    let [fileBytes, unpacked] = [0, 0];
    const variant = packedVariant(node);
    for (const [index, value] of node.inputs.entries()) {
      const bytes = value?.constant?.data.byteLength ?? 0;
      if (value === null || bytes === 0 || counted.has(value)) continue;
      counted.add(value);
      fileBytes += bytes;
      if (variant === undefined || index !== 1) unpacked += bytes;
    }
    if (fileBytes === 0 && variant === undefined) continue;
    const kernel = variant === undefined ? null : kernelBytes(node, variant);
    const home = readerOf(node, computing);
    const own = {
      idealBits: ideal.get(home) ?? 0,
      fileBytes,
      stockBytes: unpacked + (kernel?.stock ?? 0),
      opsBytes: fileBytes + (kernel?.ops ?? 0),
    };
    const other = sizes.get(home);
    sizes.set(home, other === undefined ? own : { ...addSizes([other, own]), idealBits: own.idealBits });
  }
  return sizes;
}

/** The node itself, or the first one behind it that data go through. */
function readerOf(node: Node, computing: ReadonlySet<Node>): Node {
  let current = node;
  while (!computing.has(current)) {
    const next = current.outputs.find(({ uses }) => uses.length > 0)?.uses[0]?.node;
    if (next === undefined) return current;
    current = next;
  }
  return current;
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
  // Words of a convolution twice: as they are, and with the xor of each three in place of the third (`triples` of the kernel).
  const copies = variant.layer === 'Gemm' ? 1 : 2;
  return { stock, ops: 4 * padded * (copies * words + taps + 2) };
}

/** Whether the kernel of a weight-only layer goes by Winograd's tiles. */
function isTransformed(node: Node, outputs: number): boolean {
  const [, rows, columns] = node.requiredInput(1).constant?.shape ?? [];
  const steps = [...node.ints('strides', [1, 1]), ...node.ints('dilations', [1, 1])];
  const isNeighbours = rows === 3 && columns === 3 && steps.every((step) => step === 1);
  return isNeighbours && Math.min(node.int('channels', 0), outputs) >= LEAST_TRANSFORMED;
}

/** What is left of `whole` without `parts`. */
export function subtractSizes(whole: Sizes, parts: Sizes): Sizes {
  return {
    idealBits: whole.idealBits - parts.idealBits,
    fileBytes: whole.fileBytes - parts.fileBytes,
    stockBytes: whole.stockBytes - parts.stockBytes,
    opsBytes: whole.opsBytes - parts.opsBytes,
  };
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

/** What the layers of a model take before anything is rewritten. */
export interface LayerBytes {
  /**
   * Of the largest constant behind each layer, its weights, by the layer's node; of all its constants where it is never packed. 0 where
   * another layer has the same.
   */
  readonly layers: ReadonlyMap<Node, number>;
  /** For a layer whose weights another one has: that one. */
  readonly sharedWith: ReadonlyMap<Node, Node>;
  /** Of all constants, each counted once. */
  readonly total: number;
}

type Constant = Value & { readonly constant: Tensor };

/** @param source  the graph as it was in the file, where its constants may have had another dtype. */
export function layerBytes(graph: Graph, source: Graph = graph): LayerBytes {
  const layers = new Map<Node, number>();
  const sharedWith = new Map<Node, Node>();
  const owners = new Map<Tensor | Value, Node>();
  const equal = new EqualConstants();
  for (const node of graph.nodes()) {
    if (!isLayer(node)) continue;
    // Before anything was folded, where the file has the same layer.
    const original = source.values.get(node.outputs[0]?.name ?? '')?.producer ?? null;
    const constants = (original?.type === node.type ? original : node).inputs
      .flatMap(constantsBehind)
      .map((value) => source.values.get(value.name) ?? value)
      .filter((value): value is Constant => value.constant !== null)
      .sort((a, b) => b.constant.data.byteLength - a.constant.data.byteLength);
    const own = whyNeverPacked(node) === null ? constants.slice(0, 1) : constants;
    let bytes = 0;
    for (const [i, value] of own.entries()) {
      const identity = equal.identityOf(value);
      const owner = owners.get(identity);
      if (owner === undefined) {
        owners.set(identity, node);
        bytes += value.constant.data.byteLength;
      } else if (i === 0 && owner !== node) sharedWith.set(node, owner);
    }
    layers.set(node, bytes);
  }
  let total = 0;
  for (const { constant } of source.constants()) total += constant.data.byteLength;
  return { layers, sharedWith, total };
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
