/** One convolution layer in the forms that `bnn-bench conv` compares. */

import { Rng } from '../core/numbers/rng.ts';
import { slidingWindowSize } from '../core/tensors/shape.ts';
import { createArray, float32, type Tensor, tensor } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import { type Attributes, int, ints } from '../graph/attribute.ts';
import { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import { packConvWeights } from '../operators/pack-weights.ts';
import { addBnnFunctions } from '../operators/registry.ts';

/** A layer with square images and kernels, padded so that stride 1 keeps the size. */
export interface ConvLayer {
  readonly batch: number;
  readonly channels: number;
  readonly outputs: number;
  /** Height and width of the input. */
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
}

/** A model and what to feed it. */
export interface BenchModel {
  readonly bytes: Uint8Array;
  readonly feeds: Readonly<Record<string, Tensor>>;
}

/**
 * Reads `64@56`, `64-128@56`, `64@56k5`, `64-128@56k1s2`: input channels, output channels when they differ, size of the image, kernel
 * and stride when they are not 3 and 1.
 *
 * @throws {BnnError} E_USAGE.
 */
export function parseConvLayer(text: string, batch: number): ConvLayer {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?@(\d{1,4})(?:k(\d{1,2}))?(?:s(\d))?$/.exec(text);
  const [, channels = 0, outputs = channels, size = 0, kernel = 3, stride = 1] = (match ?? []).map((part) =>
    part === undefined ? undefined : Number(part),
  );
  if (match === null || [channels, outputs, size, kernel, stride].some((number) => number < 1)) {
    throw new BnnError('E_USAGE', `"${text}" is no layer shape`, {
      hint: 'channels@size, e.g. 64@56; with more: 64-128@56k1s2 = 128 output channels, kernel 1, stride 2',
    });
  }
  return { batch, channels, outputs, size, kernel, stride };
}

/** `conv3x3 64@56x56`, with outputs, stride and batch where they are not the usual ones. */
export function nameOfConvLayer({ batch, channels, outputs, size, kernel, stride }: ConvLayer): string {
  const shape = `${channels === outputs ? channels : `${channels}-${outputs}`}@${size}x${size}`;
  return `conv${kernel}x${kernel} ${shape}${stride === 1 ? '' : ` stride ${stride}`}${batch === 1 ? '' : ` batch ${batch}`}`;
}

function outputSizeOf({ size, kernel, stride }: ConvLayer): number {
  const padding = kernel >> 1;
  return slidingWindowSize(size, kernel, stride, padding, padding, 1);
}

/** Multiplications and additions of the layer as a float convolution, those on padding included. */
export function operationsOf(layer: ConvLayer): number {
  const { batch, channels, outputs, kernel } = layer;
  return 2 * batch * outputs * outputSizeOf(layer) ** 2 * channels * kernel ** 2;
}

function attributesOf({ kernel, stride }: ConvLayer): Attributes {
  const padding = kernel >> 1;
  return {
    strides: ints([stride, stride]),
    pads: ints([padding, padding, padding, padding]),
    dilations: ints([1, 1]),
    group: int(1),
    kernel_shape: ints([kernel, kernel]),
  };
}

function normals(rng: Rng, shape: readonly number[]): Tensor<'float32'> {
  const count = shape.reduce((product, size) => product * size, 1);
  return float32(
    shape,
    Float32Array.from({ length: count }, () => rng.normal()),
  );
}

const SEED = 1;

function inputOf({ batch, channels, size }: ConvLayer): readonly number[] {
  return [batch, channels, size, size];
}

function weightsOf({ channels, outputs, kernel }: ConvLayer, layer = 0): Tensor<'float32'> {
  return normals(new Rng(SEED, 1 + 10 * layer), [outputs, channels, kernel, kernel]);
}

function finish(builder: Builder, y: Value, layer: ConvLayer, dtype: 'float32' | 'uint8', x: Tensor): BenchModel {
  const size = outputSizeOf(layer);
  builder.output(y, dtype, [layer.batch, layer.outputs, size, size]);
  addBnnFunctions(builder.model);
  return { bytes: encodeModel(builder.model), feeds: { x } };
}

/** The layer as a packed file has it: `bnn.BinaryConv`, float data in and out. */
export function packedConv(layer: ConvLayer): BenchModel {
  const builder = new Builder('packed');
  const x = builder.input('x', 'float32', inputOf(layer));
  const weights = weightsOf(layer);
  const rng = new Rng(SEED, 2);
  const inputs = [
    x,
    builder.constant('w', packConvWeights(weights.data, weights.shape)),
    builder.constant('scale', normals(rng, [layer.outputs])),
    builder.constant('bias', normals(rng, [layer.outputs])),
  ];
  const y = builder.op(
    'bnn.BinaryConv',
    inputs,
    { ...attributesOf(layer), channels: int(layer.channels) },
    'layer',
    'y',
  );
  return finish(builder, y, layer, 'float32', normals(new Rng(SEED, 3), inputOf(layer)));
}

/**
 * Layers of one shape behind one another that hand on signs alone: where they run as a chain, bits go in and out of all but the first and
 * last.
 *
 * @throws {BnnError} E_USAGE when a layer does not fit behind itself.
 */
export function packedChain(layer: ConvLayer, layers: number): BenchModel {
  assertRepeatable(layer);
  const builder = new Builder('chain');
  let y = builder.input('x', 'float32', inputOf(layer));
  const attributes = { ...attributesOf(layer), channels: int(layer.channels) };
  for (let i = 0; i < layers; i++) {
    const weights = weightsOf(layer, i);
    const w = builder.constant('w', packConvWeights(weights.data, weights.shape));
    const threshold = builder.constant('acc_threshold', normals(new Rng(SEED, 2 + 10 * i), [layer.outputs]));
    y = builder.op('bnn.BinaryConvSign', [y, w, threshold], attributes, `layer${i}`);
  }
  return finish(builder, y, layer, 'float32', normals(new Rng(SEED, 3), inputOf(layer)));
}

/** Its full-precision twin. */
export function floatChain(layer: ConvLayer, layers: number): BenchModel {
  assertRepeatable(layer);
  const builder = new Builder('float');
  let y = builder.input('x', 'float32', inputOf(layer));
  for (let i = 0; i < layers; i++) {
    const bias = builder.constant('bias', normals(new Rng(SEED, 2 + 10 * i), [layer.outputs]));
    y = builder.op('Conv', [y, builder.constant('w', weightsOf(layer, i)), bias], attributesOf(layer), `layer${i}`);
  }
  return finish(builder, y, layer, 'float32', normals(new Rng(SEED, 3), inputOf(layer)));
}

function assertRepeatable(layer: ConvLayer): void {
  if (layer.channels === layer.outputs && outputSizeOf(layer) === layer.size) return;
  throw new BnnError('E_USAGE', `${nameOfConvLayer(layer)} does not fit behind itself`, {
    hint: 'with --layers, shapes keep the number of channels and the size, e.g. 64@56',
  });
}

/** The full-precision twin: `Conv` with bias. */
export function floatConv(layer: ConvLayer): BenchModel {
  const builder = new Builder('float');
  const x = builder.input('x', 'float32', inputOf(layer));
  const w = builder.constant('w', weightsOf(layer));
  const bias = builder.constant('bias', normals(new Rng(SEED, 2), [layer.outputs]));
  const y = builder.op('Conv', [x, w, bias], attributesOf(layer), 'layer', 'y');
  return finish(builder, y, layer, 'float32', normals(new Rng(SEED, 3), inputOf(layer)));
}

/**
 * The layer in 8-bit integers: `QLinearConv` alone, bytes in and bytes out, so nothing is spent on quantizing. Data 0 and 2 with zero
 * point 1 stand for −1 and +1.
 */
export function int8Conv(layer: ConvLayer): BenchModel {
  const builder = new Builder('int8');
  const shape = inputOf(layer);
  const rng = new Rng(SEED, 3);
  const data = createArray(
    'uint8',
    shape.reduce((product, size) => product * size, 1),
  ).map(() => (rng.uint32() & 1) * 2);
  const byte = (name: string, value: number): Value =>
    builder.constant(name, tensor('uint8', [], Uint8Array.of(value)));
  const number = (name: string, value: number): Value => builder.constant(name, float32([], [value]));
  const weights = weightsOf(layer);
  const w = tensor(
    'int8',
    weights.shape,
    Int8Array.from(weights.data, (weight) => (weight >= 0 ? 1 : -1)),
  );
  const inputs = [
    builder.input('x', 'uint8', shape),
    number('x_scale', 1),
    byte('x_zero', 1),
    builder.constant('w', w),
    number('w_scale', 1),
    builder.constant('w_zero', tensor('int8', [], Int8Array.of(0))),
    // So that ± 127 steps hold nearly all sums.
    number('y_scale', Math.max(1, Math.sqrt(layer.channels * layer.kernel ** 2) / 32)),
    byte('y_zero', 128),
  ];
  const y = builder.op('QLinearConv', inputs, attributesOf(layer), 'layer', 'y');
  return finish(builder, y, layer, 'uint8', tensor('uint8', shape, data));
}
