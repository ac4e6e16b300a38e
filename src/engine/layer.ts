/** Layers in the module's memory: their shapes are checked here, the kernels trust them. */

import type { Tensor } from '../core/tensors/tensor.ts';
import { bytesOf } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import type { Engine, Pointer } from './engine-module.ts';

/** In the order of `Kind` in `native/wasm/engine.cc`. */
const KINDS = [
  'binaryConv',
  'binaryDense',
  'binaryWeightConv',
  'binaryWeightDense',
  'floatConv',
  'floatDense',
] as const;
export type LayerKind = (typeof KINDS)[number];

/** In the order of `VectorKind` there. */
const VECTORS = ['x_threshold', 'scale', 'bias', 'slope', 'offset', 'acc_threshold'] as const;
export type LayerVector = (typeof VECTORS)[number];

export interface LayerShape {
  /** Height, width. */
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  /** Top, left, bottom, right. */
  readonly pads: readonly number[];
  readonly dilations: readonly number[];
  readonly groups: number;
  /** Of one group. */
  readonly channels: number;
  /** Of all groups. */
  readonly outputs: number;
}

export function denseShape(channels: number, outputs: number): LayerShape {
  return { kernel: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], groups: 1, channels, outputs };
}

/** Larger ones cannot be meant, and products of them would overflow. */
const MOST = 2 ** 16;
/** An output sees at most so many values: sums of signs are exact in float32, and offsets stay below 2^31. */
const MOST_INPUTS = 2 ** 23;
const MOST_PLANE = 2 ** 28;

/** @throws {BnnError} E_SHAPE. */
export function checkLayerShape(shape: LayerShape, at: string): void {
  const { kernel, strides, pads, dilations, groups, channels, outputs } = shape;
  const within = (values: readonly number[], least: number, most: number): boolean =>
    values.every((value) => Number.isInteger(value) && value >= least && value <= most);
  const inputs = channels * kernel.reduce((product, size) => product * size, 1);
  const fits =
    kernel.length === 2 &&
    within([...kernel, ...strides, ...dilations], 1, MOST) &&
    within(pads, 0, MOST) &&
    within([groups, channels, outputs], 1, MOST_INPUTS) &&
    inputs <= MOST_INPUTS &&
    outputs % groups === 0;
  if (fits) return;
  throw new BnnError('E_SHAPE', `a layer of shape ${JSON.stringify(shape)} is more than the kernels take`, { at });
}

/** @throws {BnnError} E_SHAPE where padded planes would be too large for the kernels. */
export function checkPlane({ pads, strides }: LayerShape, height: number, width: number, at: string): void {
  const [top = 0, left = 0, bottom = 0, right = 0] = pads;
  const rows = height + top + bottom;
  const columns = width + left + right + (strides[1] ?? 1);
  if (rows * columns <= MOST_PLANE) return;
  throw new BnnError('E_SHAPE', `a padded plane of ${rows} x ${columns} is more than the kernels take`, { at });
}

/** A layer that runs. */
export class Layer {
  readonly shape: LayerShape;
  readonly #engine: Engine;
  #pointer: Pointer;

  /**
   * @param weights  u8 bits as the operator's input w; for float kinds f32[outputs][channels][kernel rows][kernel columns].
   * @throws {BnnError} E_SHAPE when the kernels do not take it, E_BACKEND without memory.
   */
  constructor(engine: Engine, kind: LayerKind, shape: LayerShape, weights: Tensor, at: string) {
    checkLayerShape(shape, at);
    const perOutput = kind.startsWith('float')
      ? shape.channels * (shape.kernel[0] ?? 1) * (shape.kernel[1] ?? 1)
      : Math.ceil(shape.channels / 8) * (shape.kernel[0] ?? 1) * (shape.kernel[1] ?? 1);
    const dtype = kind.startsWith('float') ? 'float32' : 'uint8';
    if (weights.dtype !== dtype || weights.data.length !== perOutput * shape.outputs) {
      const found = `${weights.dtype}[${weights.shape.join(', ')}]`;
      throw new BnnError('E_SHAPE', `weights are ${found}, expected ${dtype} of ${perOutput * shape.outputs}`, { at });
    }
    this.shape = shape;
    this.#engine = engine;
    const { kernel, strides, pads, dilations, groups, channels, outputs } = shape;
    const facts = engine.copyIn(
      Int32Array.from([...kernel, ...strides, ...pads, ...dilations, groups, channels, outputs]),
    );
    const data = engine.copyIn(bytesOf(weights));
    this.#pointer = engine.calls.layer(KINDS.indexOf(kind), facts, data);
    engine.calls.free(facts);
    engine.calls.free(data);
  }

  /** @param values  f32[outputs], of x_threshold f32[channels of all groups]; copied. */
  setVector(name: LayerVector, values: Float32Array, at: string): void {
    const { groups, channels, outputs } = this.shape;
    const expected = name === 'x_threshold' ? groups * channels : outputs;
    if (values.length !== expected) {
      throw new BnnError('E_SHAPE', `${name} has ${values.length} elements, expected ${expected}`, { at });
    }
    const data = this.#engine.copyIn(values);
    this.#engine.calls.layerVector(this.#pointer, VECTORS.indexOf(name), data);
    this.#engine.calls.free(data);
  }

  /** x f32[batch, channels, height, width]; y and the residual (0: none) f32[batch, outputs, …]. */
  run(
    size: { readonly batch: number; readonly height: number; readonly width: number },
    x: Pointer,
    residual: Pointer,
    relu: boolean,
    y: Pointer,
  ): void {
    const { batch, height, width } = size;
    if (batch === 0) return;
    this.#engine.calls.layerRun(this.#pointer, batch, height, width, x, residual, relu ? 1 : 0, y);
  }

  free(): void {
    this.#engine.calls.layerFree(this.#pointer);
    this.#pointer = 0;
  }
}
