/**
 * The float stem of a packed network in 8-bit integers, by standard operators that onnxruntime runs as one QLinearConv. The rest of
 * the network stays as it is.
 *
 *     before   x ──► Conv(W, b) ──► Relu ──► MaxPool ──► y
 *     after    x ──► SpaceToDepth ──► Q ──► DQ ──► Conv(DQ(W₈), DQ(b₃₂)) ──► Q ──► MaxPool ──► DQ ──► y
 *
 * Data      uint8 with one scale and zero point; from the range that pixels have.
 * Blocks    SpaceToDepth moves the pixels of each 2×2 block into channels, and a convolution of stride 2 becomes one of stride 1 with
 *           a quarter of the positions in its kernel. onnxruntime reads 12 bytes at a time then instead of 3, which makes it 1.6
 *           times as fast. Exact: a kernel that does not fill its blocks is filled up with zeros. On floats, since onnxruntime has
 *           SpaceToDepth on bytes from 1.30 on only.
 * Weights   int8 from −63 to 63: two products with uint8 data fit 16 bits, which x64 processors without VNNI add up in, so every
 *           processor computes the same.
 * Results   uint8 with a scale s and a zero point z for each channel. A QLinearConv has but one of each; W / s and b / s + z with
 *           scale 1 and zero point 0 give the same numbers.
 */

import { type Tensor, tensor } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import { int, ints } from '../graph/attribute.ts';
import { Graph, type Node, type Value } from '../graph/graph.ts';
import { inferShapes } from '../graph/infer/infer-shapes.ts';
import { Model } from '../graph/model.ts';
import { INFER_RULES } from '../operators/registry.ts';
import { cloneModel } from '../rewriting/clone-model.ts';
import { nameOf } from '../rewriting/layers/layers.ts';
import { assertInt8Opset, isVector, quantizeWeights, type Step, toStep, type ValueRange } from './int8-parts.ts';

const LARGEST_WEIGHT = 63;
/** Multiply-adds of one picture: below, quantizing and changes of layout take what the integers save. */
const LEAST_MACS = 2e6;

interface Stem {
  readonly conv: Node;
  readonly relu: Node | null;
  readonly pool: Node | null;
  /** Channels, height and width of a picture. */
  readonly image: readonly [number, number, number];
  readonly macs: number;
}

/**
 * The convolution of a packed model that gains from 8-bit integers.
 *
 * @param leastMacs  of a picture; only tests ask for less than what pays.
 * @throws {BnnError} E_UNSUPPORTED with the reason when there is none.
 */
export function findStem({ graph, opsets }: Model, leastMacs = LEAST_MACS): Stem {
  assertInt8Opset(opsets);
  const refuse = (reason: string): never => {
    throw new BnnError('E_UNSUPPORTED', `no layer gains from 8-bit integers: ${reason}`, {
      hint: 'they pay in a first convolution of stride 2 on large pictures; leave --int8 out',
    });
  };
  const [input] = graph.inputs;
  const conv = input?.uses[0]?.node;
  if (input === undefined || input.uses.length !== 1 || conv?.is('Conv') !== true) {
    return refuse('the network does not begin with a float convolution');
  }
  const at = `the first convolution, ${nameOf(conv)},`;
  const weights = conv.requiredInput(1).constant;
  const [, channels, height, width] = input.shape ?? [];
  const [, , rows, columns] = conv.output.shape ?? [];
  if (weights?.dtype !== 'float32' || weights.shape.length !== 4 || !isBiasOf(conv, weights)) {
    return refuse(`${at} has no constant float32 weights of four dimensions`);
  }
  if ([channels, height, width, rows, columns].some((size) => typeof size !== 'number')) {
    return refuse('the size of the pictures is left open');
  }
  const image = [channels, height, width] as [number, number, number];
  const macs = Number(rows) * Number(columns) * weights.data.length;
  if (blocksOf(conv, image) === null) {
    return refuse(
      `${at} has strides ${conv.ints('strides', [1, 1])} on pictures of ${image.join('×')}, not 2,2 on even ones`,
    );
  }
  if (macs < leastMacs) {
    const millions = (n: number) => (n / 1e6).toFixed(1);
    return refuse(`${at} has ${millions(macs)} million multiply-adds, they pay from ${millions(leastMacs)} on`);
  }
  const relu = onlyReader(conv.output, 'Relu');
  const pool = onlyReader((relu ?? conv).output, 'MaxPool');
  return { conv, relu, pool, image, macs };
}

function isBiasOf(conv: Node, weights: Tensor): boolean {
  return conv.input(2) === null || isVector(conv.input(2), weights.shape[0]);
}

function onlyReader(value: Value, op: string): Node | null {
  const [use, ...others] = value.uses;
  const isOnly = use?.index === 0 && others.length === 0 && !value.isOutput();
  return isOnly && use.node.is(op) && use.node.outputs.length === 1 ? use.node : null;
}

/** Kernel and padding of a convolution along one dimension of blocks, and how many zeros stand before the kernel. */
interface Blocks {
  readonly kernel: number;
  readonly begin: number;
  readonly end: number;
  readonly before: 0 | 1;
}

/** Height and width in blocks of 2×2 pixels; null where the convolution does not fit them. */
function blocksOf(conv: Node, [, ...sides]: Stem['image']): readonly [Blocks, Blocks] | null {
  const weights = conv.requiredInput(1).constant;
  const pads = conv.ints('pads', [0, 0, 0, 0]);
  const isPlain =
    conv.int('group', 1) === 1 &&
    conv.string('auto_pad', 'NOTSET') === 'NOTSET' &&
    conv.ints('strides', [1, 1]).every((stride) => stride === 2) &&
    conv.ints('dilations', [1, 1]).every((dilation) => dilation === 1);
  const [first, second] = sides.map((side, axis): Blocks | null => {
    const outputs = conv.output.shape?.[axis + 2];
    const pad = pads[axis] ?? 0;
    if (side % 2 !== 0 || typeof outputs !== 'number') return null;
    // Output o begins at pixel 2·o − pad, which must be the first of a block.
    const before = pad % 2 === 0 ? 0 : 1;
    const kernel = Math.ceil(((weights?.shape[axis + 2] ?? 0) + before) / 2);
    const begin = (pad + before) / 2;
    const end = outputs - 1 + kernel - begin - side / 2;
    return { kernel, begin, end, before };
  });
  return isPlain && first != null && second != null ? [first, second] : null;
}

/** The stem alone, up to the values that are quantized: the first output gets their ranges. */
export function stemModel(source: Model, stem: Stem): Model {
  const graph = new Graph('stem');
  const [input] = source.graph.inputs;
  if (input === undefined) throw new Error('internal: a model without inputs');
  let value = graph.addInput(input.name, input);
  for (const node of [stem.conv, stem.relu]) {
    if (node === null) continue;
    const constants = node.inputs.slice(1).map((x) => x?.constant && graph.addConstant(x.name, x.constant));
    const { name, attributes } = node;
    const copy = graph.addNode(node.op, [value, ...constants.map((x) => x ?? null)], { name, attributes });
    value = copy.output;
    value.dtype = node.output.dtype;
    value.shape = node.output.shape;
  }
  graph.addOutput(value);
  const model = new Model(graph);
  model.irVersion = source.irVersion;
  model.opsets.set('', source.opsets.get('') ?? 0);
  return model;
}

/**
 * Quantizes the stem of a packed model; the model is not changed.
 *
 * @param pixels    range of the input.
 * @param channels  range of each channel of what `stemModel` computes.
 * @throws {BnnError} as `findStem`; E_NUMERIC for a range that is not finite.
 */
export function quantizeStem(
  source: Model,
  pixels: ValueRange,
  channels: readonly ValueRange[],
  leastMacs = LEAST_MACS,
): Model {
  const model = cloneModel(source);
  const { graph } = model;
  const { conv, relu, pool, image } = findStem(model, leastMacs);
  const last = pool ?? relu ?? conv;
  const input = conv.requiredInput(0);
  const data = toStep(pixels, input.name);
  const finest = finestSteps(conv, data.scale);
  const steps = channels.map(({ min, max }, o) =>
    // A channel that is all but dead in the pictures: its step is that of its sums.
    toStep({ min, max: Math.max(max, 255 * (finest[o] ?? 0)) }, `channel ${o} of ${nameOf(conv)}`),
  );
  const blocks = graph.addNode('SpaceToDepth', [input], {
    name: `${input.name}.blocks`,
    attributes: { blocksize: int(2) },
  });
  const x = dequantize(graph, quantize(graph, blocks.output, data), [data], blocks.name);
  const sums = blockConvolution(graph, x, conv, image, steps);
  quantizeWeights(graph, sums, data.scale, LARGEST_WEIGHT);
  let bytes = quantize(graph, sums.output, { scale: 1, zero: 0 });
  if (pool !== null) {
    bytes = graph.addNode('MaxPool', [bytes], { name: pool.name, attributes: pool.attributes }).output;
  }
  graph.replaceAllUses(last.output, dequantize(graph, bytes, steps, nameOf(conv)));
  for (const node of [pool, relu, conv]) if (node !== null) removeWithConstants(graph, node);
  graph.sortTopologically();
  inferShapes(model, INFER_RULES);
  return model;
}

/** For each output, what one step of data and of weights gives. */
function finestSteps(conv: Node, dataScale: number): number[] {
  const weights = conv.requiredInput(1).constant;
  const outputs = weights?.shape[0] ?? 0;
  const data = weights?.data as Float32Array;
  return Array.from({ length: outputs }, (_, o) => {
    const own = data.subarray((o * data.length) / outputs, ((o + 1) * data.length) / outputs);
    const largest = own.reduce((most, w) => Math.max(most, Math.abs(w)), 0);
    return (dataScale * largest) / LARGEST_WEIGHT;
  });
}

function quantize(graph: Graph, value: Value, { scale, zero }: Step): Value {
  const { name } = value;
  const parameters = [
    graph.addConstant(`${name}.scale`, tensor('float32', [], Float32Array.of(scale))),
    graph.addConstant(`${name}.zero`, tensor('uint8', [], Uint8Array.of(zero))),
  ];
  return graph.addNode('QuantizeLinear', [value, ...parameters], { name: `${name}.q` }).output;
}

/** @param steps  one for the tensor, or one per channel. */
function dequantize(graph: Graph, bytes: Value, steps: readonly Step[], name: string): Value {
  const shape = steps.length === 1 ? [] : [steps.length];
  const scales = Float32Array.from(steps, ({ scale }) => scale);
  const zeros = Uint8Array.from(steps, ({ zero }) => zero);
  const parameters = [
    graph.addConstant(`${name}.scale`, tensor('float32', shape, scales)),
    graph.addConstant(`${name}.zero`, tensor('uint8', shape, zeros)),
  ];
  const attributes = steps.length === 1 ? {} : { axis: int(1) };
  return graph.addNode('DequantizeLinear', [bytes, ...parameters], { name: `${name}.dq`, attributes }).output;
}

/** The convolution on blocks, its results in the given steps. */
function blockConvolution(graph: Graph, x: Value, conv: Node, image: Stem['image'], steps: readonly Step[]): Node {
  const weights = conv.requiredInput(1);
  const bias = conv.input(2)?.constant?.data as Float32Array | undefined;
  const blocks = blocksOf(conv, image);
  if (blocks === null) throw new Error('internal: a convolution that does not fit its blocks');
  const [rows, columns] = blocks;
  const [outputs = 0, channels = 0, height = 0, width = 0] = weights.constant?.shape ?? [];
  const from = weights.constant?.data as Float32Array;
  const to = new Float32Array(outputs * 4 * channels * rows.kernel * columns.kernel);
  for (let o = 0; o < outputs; o++) {
    const { scale } = steps[o] ?? { scale: 1 };
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < height; i++) {
        for (let j = 0; j < width; j++) {
          const [row, column] = [i + rows.before, j + columns.before];
          const channel = ((row & 1) * 2 + (column & 1)) * channels + c;
          const kernel = (row >> 1) * columns.kernel + (column >> 1);
          const w = from[((o * channels + c) * height + i) * width + j] ?? 0;
          to[(o * 4 * channels + channel) * rows.kernel * columns.kernel + kernel] = w / scale;
        }
      }
    }
  }
  const shape = [outputs, 4 * channels, rows.kernel, columns.kernel];
  const shifts = Float32Array.from(steps, ({ scale, zero }, o) => (bias?.[o] ?? 0) / scale + zero);
  const inputs = [
    x,
    graph.addConstant(weights.name, tensor('float32', shape, to)),
    graph.addConstant(`${nameOf(conv)}.shift`, tensor('float32', [outputs], shifts)),
  ];
  return graph.addNode('Conv', inputs, {
    name: conv.name,
    attributes: {
      kernel_shape: ints([rows.kernel, columns.kernel]),
      pads: ints([rows.begin, columns.begin, rows.end, columns.end]),
    },
  });
}

function removeWithConstants(graph: Graph, node: Node): void {
  const { inputs } = node;
  graph.removeNode(node);
  for (const value of inputs) {
    if (value !== null && value.constant !== null && value.uses.length === 0) graph.removeConstant(value);
  }
}
