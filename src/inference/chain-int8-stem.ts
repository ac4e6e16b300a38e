/**
 * The 8-bit stem that `bnn-export --int8` writes (`src/compiler/quantize-stem.ts`) as a step of a chain:
 *
 *     SpaceToDepth ──► QDQ ──► Conv ──► Q ──► MaxPool ──► DQ ──► BatchNormalization
 *
 * Onnxruntime runs it as QLinearConv, whose sums are exact integers, so any order of them gives the same. The convolution on blocks of 2×2
 * pixels becomes the one of stride 2 on pixels that it was made of.
 */

import { isDtype, type Tensor } from '../core/tensors/tensor.ts';
import type { Node, Value } from '../graph/graph.ts';
import { affineOf, halvingPoolOf, NO_VALUES, onlyReadBy } from '../rewriting/layers/float-layers.ts';
import type { Int8ConvStep } from './chain-program.ts';

export type Int8Stem = Omit<Int8ConvStep, 'input'> & {
  /** Its nodes, first to last; `data` counts the inputs of the first. */
  readonly nodes: readonly Node[];
  readonly data: readonly number[];
};

/** Beyond, sums of 32 bits might wrap. */
const MOST_TERMS = 2 ** 14;
const MOST_BIAS = 2 ** 30;
/** So that pairs of products fit 16 bits, which is how some processors add them. */
const LARGEST_WEIGHT = 63;

/** @param last  the node whose output is that of the whole. */
export function int8StemOf(last: Node): Int8Stem | null {
  const normalization = last.is('BatchNormalization') ? last : null;
  const dequantize = normalization === null ? last : onlyReadBy(normalization);
  const steps = stepsOf(dequantize, 'uint8');
  const affine =
    normalization === null ? { scale: NO_VALUES, shift: NO_VALUES } : affineOf(normalization, 'by its inverse');
  if (dequantize === null || steps === null || affine === null || !isPerChannel(dequantize)) return null;
  const before = onlyReadBy(dequantize);
  const pool = before?.is('MaxPool') === true ? before : null;
  const quantize = pool === null ? before : onlyReadBy(pool);
  const conv = quantize === null ? null : onlyReadBy(quantize);
  const dequantizeData = conv?.is('Conv') === true ? onlyReadBy(conv) : null;
  const quantizeData = dequantizeData === null ? null : onlyReadBy(dequantizeData);
  const blocks = quantizeData === null ? null : onlyReadBy(quantizeData);
  if (quantize === null || conv === null || dequantizeData === null || quantizeData === null) return null;
  if (blocks?.is('SpaceToDepth') !== true || blocks.int('blocksize', 0) !== 2) return null;
  const [result, data] = [pairOf(quantize, null), pairOf(quantizeData, dequantizeData)];
  const window = pool === null ? null : halvingPoolOf(pool);
  const layer = data === null ? null : layerOf(conv, data.scale);
  if (result === null || data === null || window === null || layer === null) return null;
  const outputs = layer.outputs;
  const all = (values: readonly number[]) =>
    values.length === outputs ? values : values.length === 1 ? Array<number>(outputs).fill(values[0] ?? 0) : null;
  const [stepScale, stepZero] = [all(steps.scales), all(steps.zeros)];
  if (stepScale === null || stepZero === null) return null;
  const { weightScales, constants, ...rest } = layer;
  const nodes = [blocks, quantizeData, dequantizeData, ...constants, conv, quantize, pool, dequantize, normalization];
  return {
    kind: 'int8Conv',
    ...rest,
    ...window,
    dataScale: data.scale,
    dataZero: data.zero,
    resultZero: result.zero,
    multiplier: weightScales.map((scale) => Math.fround(data.scale * scale) / result.scale),
    stepScale: Float32Array.from(stepScale),
    stepZero: Int32Array.from(stepZero),
    ...affine,
    nodes: nodes.filter((node) => node !== null),
    data: [0],
  };
}

function constantOf(value: Value | null): Tensor | null {
  return value?.constant ?? null;
}

/** Scales and zero points of a QuantizeLinear or DequantizeLinear. */
function stepsOf(
  node: Node | null,
  dtype: 'uint8' | 'int8' | 'int32',
): { readonly scales: readonly number[]; readonly zeros: readonly number[] } | null {
  if (node?.is('DequantizeLinear') !== true && node?.is('QuantizeLinear') !== true) return null;
  const [scale, zero] = [constantOf(node.input(1)), constantOf(node.input(2))];
  if (scale === null || zero === null || !isDtype(scale, 'float32') || zero.dtype !== dtype) return null;
  if (node.int('block_size', 0) !== 0 || scale.data.length !== zero.data.length) return null;
  const scales = Array.from(scale.data);
  return scales.every((s) => s > 0 && Number.isFinite(s)) ? { scales, zeros: Array.from(zero.data, Number) } : null;
}

const isPerChannel = (node: Node) => constantOf(node.input(1))?.data.length === 1 || node.int('axis', 1) === 1;

/** The one scale and zero point of a QuantizeLinear to bytes, and of the DequantizeLinear behind it. */
function pairOf(quantize: Node, dequantize: Node | null): { readonly scale: number; readonly zero: number } | null {
  const [to, from] = [stepsOf(quantize, 'uint8'), stepsOf(dequantize ?? quantize, 'uint8')];
  const [scale, zero] = [to?.scales[0], to?.zeros[0]];
  if (!quantize.is('QuantizeLinear') || scale === undefined || zero === undefined) return null;
  if (to?.scales.length !== 1 || scale !== from?.scales[0] || zero !== from.zeros[0]) return null;
  return { scale, zero };
}

type Layer = Pick<Int8ConvStep, 'kernel' | 'pads' | 'channels' | 'outputs' | 'weights' | 'bias'> & {
  readonly weightScales: Float32Array;
  /** The nodes that make floats of weights and bias. */
  readonly constants: readonly Node[];
};

function layerOf(conv: Node, dataScale: number): Layer | null {
  const [weightNode, biasNode] = [conv.input(1)?.producer ?? null, conv.input(2)?.producer ?? null];
  const [weightSteps, biasSteps] = [stepsOf(weightNode, 'int8'), stepsOf(biasNode, 'int32')];
  const [w, b] = [constantOf(weightNode?.input(0) ?? null), constantOf(biasNode?.input(0) ?? null)];
  const [outputs = 0, blockChannels = 0, ...blockKernel] = w?.shape ?? [];
  const blockPads = conv.ints('pads', [0, 0, 0, 0]);
  if (weightNode === null || biasNode === null || w === null || b === null) return null;
  if (!isDtype(w, 'int8') || !isDtype(b, 'int32')) return null;
  const isPlain =
    blockKernel.length === 2 &&
    blockPads.every((pad) => pad >= 0) &&
    conv.int('group', 1) === 1 &&
    conv.ints('strides', [1, 1]).every((stride) => stride === 1) &&
    conv.ints('dilations', [1, 1]).every((dilation) => dilation === 1) &&
    conv.string('auto_pad', 'NOTSET') === 'NOTSET' &&
    weightNode.int('axis', 1) === 0 &&
    [weightNode, biasNode].every(({ output }) => output.uses.length === 1 && !output.isOutput());
  const isExact =
    weightSteps?.zeros.every((zero) => zero === 0) === true &&
    biasSteps?.zeros.every((zero) => zero === 0) === true &&
    weightSteps.scales.length === outputs &&
    biasSteps.scales.length === outputs &&
    biasSteps.scales.every((scale, o) => scale === Math.fround(dataScale * (weightSteps.scales[o] ?? 0))) &&
    w.data.every((weight) => Math.abs(weight) <= LARGEST_WEIGHT) &&
    b.data.every((bias) => Math.abs(bias) <= MOST_BIAS) &&
    w.data.length <= MOST_TERMS * outputs;
  if (!isPlain || !isExact) return null;
  const pixels = onPixels(w.data, outputs, blockChannels, blockKernel, blockPads);
  return {
    ...pixels,
    outputs,
    bias: b.data,
    constants: [weightNode, biasNode],
    weightScales: Float32Array.from(weightSteps.scales),
  };
}

/** From blocks of 2×2 pixels, whose channels are [row][column][channel], to pixels; rows and columns of zeros at the ends are no part of the kernel. */
function onPixels(
  from: Int8Array,
  outputs: number,
  blockChannels: number,
  [blockRows = 0, blockColumns = 0]: readonly number[],
  blockPads: readonly number[],
): Pick<Layer, 'kernel' | 'pads' | 'channels' | 'weights'> {
  const channels = blockChannels / 4;
  const weightAt = (o: number, c: number, row: number, column: number) => {
    const channel = ((row & 1) * 2 + (column & 1)) * channels + c;
    return from[((o * blockChannels + channel) * blockRows + (row >> 1)) * blockColumns + (column >> 1)] ?? 0;
  };
  const [top = 0, left = 0, bottom = 0, right = 0] = blockPads.map((pad) => 2 * pad);
  const everyOther = (count: number, other: number, at: (o: number, c: number, i: number, j: number) => number) =>
    Array.from({ length: count }, (_, i) => {
      for (let o = 0; o < outputs; o++) {
        for (let c = 0; c < channels; c++) {
          for (let j = 0; j < other; j++) if (at(o, c, i, j) !== 0) return true;
        }
      }
      return false;
    });
  const rows = used(everyOther(2 * blockRows, 2 * blockColumns, weightAt), top, bottom);
  const columns = used(
    everyOther(2 * blockColumns, 2 * blockRows, (o, c, j, i) => weightAt(o, c, i, j)),
    left,
    right,
  );
  const kernel = [rows.size, columns.size];
  const weights = Int8Array.from({ length: outputs * channels * rows.size * columns.size }, (_, at) => {
    const column = at % columns.size;
    const row = Math.floor(at / columns.size) % rows.size;
    const channel = Math.floor(at / columns.size / rows.size);
    return weightAt(Math.floor(channel / channels), channel % channels, row + rows.begin, column + columns.begin);
  });
  const pads = [top - rows.begin, left - columns.begin, bottom - rows.after, right - columns.after];
  return { kernel, pads, channels, weights };
}

/** Positions between unused ones, of which no more are left out than there is padding; one at least. */
function used(
  isUsed: readonly boolean[],
  padBegin: number,
  padEnd: number,
): { begin: number; size: number; after: number } {
  const [first, last] = [isUsed.indexOf(true), isUsed.lastIndexOf(true)];
  if (first < 0) return { begin: 0, size: isUsed.length, after: 0 };
  const begin = Math.min(first, padBegin);
  const after = Math.min(isUsed.length - 1 - last, padEnd);
  return { begin, size: isUsed.length - begin - after, after };
}
