/** What `BinaryChain` of the operator library runs: its steps, weights and vectors as bytes, read by `native/kernels/chain/read_chain.cc`. */

import { bytesOf, isDtype, type Tensor } from '../core/tensors/tensor.ts';
import type { Node } from '../graph/graph.ts';
import type { LayerVariant } from '../operators/variants.ts';
import type { Affine, PlainConv } from '../rewriting/layers/float-layers.ts';
import type { FloatStem } from '../rewriting/layers/float-stem.ts';

/** Reader and writer are of the same release; this tells a library that was built from older sources. */
const VERSION = 3;
const KINDS = { conv: 0, select: 1, maxPool: 2, floatConv: 3, int8Conv: 4, stemConv: 5 } as const;

/** A binary convolution; `input` and `residual` are numbers of values: the chain's inputs, then the results of its steps. */
export interface ConvStep {
  readonly kind: 'conv';
  readonly node: Node;
  readonly variant: LayerVariant;
  readonly input: number;
  readonly residual: number | null;
}

/** Every `strides`-th row and column, between `before` and `after` channels of `fill`. */
export interface SelectStep {
  readonly kind: 'select';
  readonly input: number;
  readonly strides: readonly number[];
  readonly before: number;
  readonly after: number;
  readonly fill: number;
}

/** The largest of each window of signs; `pads` as of the standard operator. */
export interface MaxPoolStep {
  readonly kind: 'maxPool';
  readonly input: number;
  readonly strides: readonly number[];
  readonly kernel: readonly number[];
  readonly pads: readonly number[];
}

/** A convolution of a few float channels and what follows it: y = relu(conv(x) + bias) · scale + shift, as `native/kernels/float_conv` defines it. */
export interface FloatConvStep extends PlainConv, Affine {
  readonly kind: 'floatConv';
  readonly input: number;
  readonly relu: boolean;
}

/** A convolution in 8-bit integers, its pooling, both of stride 2, and what makes floats of it, as `native/kernels/int8_conv` defines them. */
export interface Int8ConvStep {
  readonly kind: 'int8Conv';
  readonly input: number;
  readonly kernel: readonly number[];
  readonly pads: readonly number[];
  readonly channels: number;
  readonly outputs: number;
  readonly poolKernel: readonly number[];
  readonly poolPads: readonly number[];
  readonly dataScale: number;
  readonly dataZero: number;
  readonly resultZero: number;
  /** i8[outputs][channels][kernel rows][kernel columns]. */
  readonly weights: Int8Array;
  /** f32[outputs]. */
  readonly multiplier: Float32Array;
  readonly bias: Int32Array;
  readonly stepScale: Float32Array;
  readonly stepZero: Int32Array;
  /** f32[outputs], or empty. */
  readonly scale: Float32Array;
  readonly shift: Float32Array;
}

/** A stem with its pooling, as `native/kernels/stem_conv` defines it. */
export interface StemConvStep extends Omit<FloatStem, 'nodes'> {
  readonly kind: 'stemConv';
  readonly input: number;
}

export type ChainStep = ConvStep | SelectStep | MaxPoolStep | FloatConvStep | Int8ConvStep | StemConvStep;

/** Inputs of a layer after x and w, by what the library calls them. */
const VECTORS = ['scale', 'bias', 'slope', 'offset', 'acc_threshold', 'x_threshold'] as const;
export type ChainVector = (typeof VECTORS)[number];

/** The inputs of a layer after x and w, in order. */
export function inputsAfterWeights(variant: LayerVariant): readonly (ChainVector | 'residual')[] {
  return [
    ...(variant.sign ? (['acc_threshold'] as const) : (['scale', 'bias'] as const)),
    ...(variant.add ? (['residual'] as const) : []),
    ...(variant.prelu ? (['slope', 'offset'] as const) : []),
    ...(variant.threshold ? (['x_threshold'] as const) : []),
  ];
}

/**
 * @param inputs   how many tensors the chain takes.
 * @param outputs  numbers of the values that it gives.
 */
export function encodeChain(inputs: number, steps: readonly ChainStep[], outputs: readonly number[]): Uint8Array {
  const writer = new Writer();
  writer.numbers(VERSION, inputs, steps.length);
  for (const step of steps) encodeStep(writer, step);
  writer.numbers(outputs.length, ...outputs);
  return writer.bytes();
}

function encodeStep(writer: Writer, step: ChainStep): void {
  writer.numbers(KINDS[step.kind], step.input);
  switch (step.kind) {
    case 'conv':
      encodeConv(writer, step);
      break;
    case 'select':
      writer.numbers(...step.strides, step.before, step.after);
      writer.floats(Float32Array.of(step.fill));
      break;
    case 'maxPool':
      writer.numbers(...step.strides, ...step.kernel, ...step.pads);
      break;
    case 'floatConv':
      writer.numbers(step.relu ? 1 : 0, ...step.kernel, ...step.strides, ...step.pads, step.channels, step.outputs);
      for (const vector of [step.weights, step.bias, step.scale, step.shift]) writer.vector(vector);
      break;
    case 'int8Conv':
      encodeInt8Conv(writer, step);
      break;
    case 'stemConv':
      writer.numbers(step.relu ? 1 : 0, ...step.kernel, ...step.pads, step.channels, step.outputs, ...step.poolPads);
      for (const vector of [step.weights, step.bias, step.scale, step.shift]) writer.vector(vector);
      writer.numbers(...step.least.map(Number));
      break;
    default:
      step satisfies never;
  }
}

function encodeInt8Conv(writer: Writer, step: Int8ConvStep): void {
  writer.numbers(...step.kernel, ...step.pads, step.channels, step.outputs, ...step.poolKernel, ...step.poolPads);
  writer.floats(Float32Array.of(step.dataScale));
  writer.numbers(step.dataZero, step.resultZero);
  writer.raw(new Uint8Array(step.weights.buffer, step.weights.byteOffset, step.weights.length));
  writer.floats(step.multiplier);
  writer.numbers(...step.bias);
  writer.floats(step.stepScale);
  writer.numbers(...step.stepZero);
  for (const vector of [step.scale, step.shift]) writer.vector(vector);
}

function encodeConv(writer: Writer, { node, variant, residual }: ConvStep): void {
  const weights = constantOf(node, 1);
  writer.numbers(residual ?? -1, variant.relu ? 1 : 0);
  for (const name of ['kernel_shape', 'strides', 'pads', 'dilations']) writer.numbers(...node.ints(name, []));
  writer.numbers(node.int('group', 1), node.int('channels', 0), weights.shape[0] ?? 0, weights.data.length);
  writer.raw(bytesOf(weights));
  const names = inputsAfterWeights(variant);
  for (const name of VECTORS) {
    const index = names.indexOf(name);
    const vector = index < 0 ? undefined : constantOf(node, index + 2);
    if (vector !== undefined && !isDtype(vector, 'float32')) throw new Error(`internal: ${name} is ${vector.dtype}`);
    writer.numbers(vector?.data.length ?? 0);
    if (vector !== undefined) writer.floats(vector.data);
  }
}

function constantOf(node: Node, index: number): Tensor {
  const constant = node.requiredInput(index).constant;
  if (constant === null) throw new Error(`internal: input ${index} of ${node.describe()} is computed`);
  return constant;
}

/** Little-endian words of 32 bits; bytes are filled up to whole ones. */
class Writer {
  readonly #parts: Uint8Array[] = [];

  numbers(...values: readonly number[]): void {
    const view = new DataView(new ArrayBuffer(4 * values.length));
    for (const [i, value] of values.entries()) view.setInt32(4 * i, value, true);
    this.#parts.push(new Uint8Array(view.buffer));
  }
  floats(values: Float32Array): void {
    const view = new DataView(new ArrayBuffer(4 * values.length));
    for (const [i, value] of values.entries()) view.setFloat32(4 * i, value, true);
    this.#parts.push(new Uint8Array(view.buffer));
  }
  /** With its length in front. */
  vector(values: Float32Array): void {
    this.numbers(values.length);
    this.floats(values);
  }
  raw(bytes: Uint8Array): void {
    this.#parts.push(bytes, new Uint8Array(-bytes.length & 3));
  }
  bytes(): Uint8Array {
    const all = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}
