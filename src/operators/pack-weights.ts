/** Weights of binary layers to and from the packed layouts of the `bnn` operators (bits as in `core/numbers/bits.ts`). */

import { packedBytes, packSigns, unpackSigns } from '../core/numbers/bits.ts';
import { elementCount } from '../core/tensors/shape.ts';
import { type Tensor, tensor } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';

/**
 * Packs the signs of convolution weights.
 *
 * @param weights  [O, C, kH, kW] row-major, any values; C counts the channels of one group.
 * @returns        u8[O, kH, kW, ⌈C / 8⌉].
 * @throws {BnnError} E_SHAPE when the shape is not of rank 4 or does not fit the data.
 */
export function packConvWeights(weights: ArrayLike<number>, shape: readonly number[]): Tensor<'uint8'> {
  const [outputs = 0, channels = 0, height = 0, width = 0] = shape;
  if (shape.length !== 4 || weights.length !== elementCount(shape)) {
    throw new BnnError('E_SHAPE', `${weights.length} weights of shape [${shape.join(', ')}], expected [O, C, kH, kW]`);
  }
  const kernel = height * width;
  const signs = new Int8Array(weights.length);
  for (let o = 0; o < outputs; o++) {
    const base = o * channels * kernel;
    for (let c = 0; c < channels; c++) {
      for (let k = 0; k < kernel; k++) {
        signs[base + k * channels + c] = (weights[base + c * kernel + k] ?? Number.NaN) >= 0 ? 1 : -1;
      }
    }
  }
  return tensor('uint8', [outputs, height, width, packedBytes(channels)], packSigns(signs, channels));
}

/**
 * The inverse of `packConvWeights`: f32[O, C, kH, kW] of ±1.
 *
 * @throws {BnnError} E_SHAPE when the packed shape does not fit `channels`.
 */
export function unpackConvWeights(packed: Tensor, channels: number): Tensor<'float32'> {
  const [outputs = 0, height = 0, width = 0] = packed.shape;
  const bits = checkedBits(packed, 4, channels);
  const rows = unpackSigns(bits, channels);
  const kernel = height * width;
  const weights = new Float32Array(rows.length);
  for (let o = 0; o < outputs; o++) {
    const base = o * channels * kernel;
    for (let k = 0; k < kernel; k++) {
      for (let c = 0; c < channels; c++) weights[base + c * kernel + k] = rows[base + k * channels + c] ?? 0;
    }
  }
  return tensor('float32', [outputs, channels, height, width], weights);
}

/**
 * Packs the signs of dense weights.
 *
 * @param weights  [N, K] row-major: one row per output.
 * @returns        u8[N, ⌈K / 8⌉].
 * @throws {BnnError} E_SHAPE when the shape is not of rank 2 or does not fit the data.
 */
export function packGemmWeights(weights: ArrayLike<number>, shape: readonly number[]): Tensor<'uint8'> {
  const [outputs = 0, channels = 0] = shape;
  if (shape.length !== 2 || weights.length !== elementCount(shape)) {
    throw new BnnError('E_SHAPE', `${weights.length} weights of shape [${shape.join(', ')}], expected [N, K]`);
  }
  return tensor('uint8', [outputs, packedBytes(channels)], packSigns(weights, channels));
}

/**
 * The inverse of `packGemmWeights`: f32[N, K] of ±1.
 *
 * @throws {BnnError} E_SHAPE when the packed shape does not fit `channels`.
 */
export function unpackGemmWeights(packed: Tensor, channels: number): Tensor<'float32'> {
  const [outputs = 0] = packed.shape;
  return tensor('float32', [outputs, channels], unpackSigns(checkedBits(packed, 2, channels), channels));
}

/**
 * Negates the weights of some outputs: their sums change sign, exactly.
 *
 * @param packed    u8[O, …, ⌈channels / 8⌉]; pad bits stay 0.
 * @param isNegated by output.
 */
export function negateOutputs(packed: Tensor, channels: number, isNegated: readonly boolean[]): Tensor<'uint8'> {
  const bits = checkedBits(packed, packed.shape.length, channels);
  const rowBytes = packedBytes(channels);
  const bytesOfOutput = bits.length / isNegated.length;
  const lastMask = 0xff >> (8 * rowBytes - channels);
  const negated = bits.map((byte, i) => {
    if (isNegated[Math.floor(i / bytesOfOutput)] !== true) return byte;
    return byte ^ ((i + 1) % rowBytes === 0 ? lastMask : 0xff);
  });
  return tensor('uint8', packed.shape, negated);
}

function checkedBits(packed: Tensor, rank: number, channels: number): Uint8Array {
  const { data, dtype, shape } = packed;
  if (dtype !== 'uint8' || !(data instanceof Uint8Array) || shape.length !== rank) {
    throw new BnnError('E_SHAPE', `packed weights are ${dtype}[${shape.join(', ')}], expected uint8 of rank ${rank}`);
  }
  if (shape.at(-1) !== packedBytes(channels)) {
    throw new BnnError('E_SHAPE', `rows of ${shape.at(-1)} bytes, but ${channels} bits take ${packedBytes(channels)}`);
  }
  return data;
}
