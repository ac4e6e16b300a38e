/**
 * Convolution of sign(x) without a tensor of signs.
 *
 * Where the filter consists of ±1, signs of both are packed into words of 32 channels, as in `core/bits.ts`: bit 1 is +1, pad bits are 0.
 * A tap inside the picture then adds C − 2 · popcount(x ⊕ filter), and one in the padding nothing: the sums are exact integers.
 */

import * as tf from '@tensorflow/tfjs-core';
import { dispatch, FLAT_HEAD, flatGroups } from '../dispatch.ts';
import { keptFilterSigns, keptSigns, WORD_BITS } from '../packed-signs.ts';
import type { WebgpuBackend } from '../webgpu-backend.ts';
import { constants, convolutionOf, convolve, filterGradient, type Info, inputGradient } from './convolution.ts';
import { ELEMENTWISE_KERNELS } from './elementwise.ts';
import { type Attributes, allocate, type Own, type OwnKernels, WEBGPU } from './kernel.ts';
import { packSigns } from './pack-signs.ts';
import { slopeOf } from './slope.ts';

const binaryConvolution: Own<'BnnBinaryConv'> = (backend, inputs, attrs) => {
  const { x, filter } = inputs;
  const info = convolutionOf(x.shape, filter.shape, attrs);
  if (info === null) return onSigns(backend, x, (signs) => plainKernel('Conv2D', backend, { x: signs, filter }, attrs));
  if (!attrs.filterIsSigns) return convolve(backend, inputs, info, 'signs');
  const { inChannels: channels, outChannels, filterHeight, filterWidth } = info;
  const pixels = info.batchSize * info.inHeight * info.inWidth;
  // Of one pixel side by side, since a thread goes through them; of one filter apart, since neighbouring threads have neighbouring filters.
  const keptA = keptSigns(backend, x);
  const keptB = keptFilterSigns(backend, filter);
  const a = keptA ?? packSigns(backend, x, { rows: pixels, channels, columns: 1 });
  const b = keptB ?? packSigns(backend, filter, { rows: filterHeight * filterWidth, channels, columns: outChannels });
  const y = multiplyPacked(backend, a, b, info);
  if (keptA === null) backend.disposeData(a.dataId);
  if (keptB === null) backend.disposeData(b.dataId);
  return y;
};

/** One thread per output. */
function multiplyPacked(backend: WebgpuBackend, a: tf.TensorInfo, b: tf.TensorInfo, info: Info): tf.TensorInfo {
  const y = allocate(backend, info.outShape);
  const size = tf.util.sizeFromShape(info.outShape);
  const words = Math.ceil(info.inChannels / WORD_BITS);
  dispatch(backend, {
    label: 'binary convolution',
    code: `${constants(info)}
const KH = ${info.filterHeight}u;
const WORDS = ${words}u;
${FLAT_HEAD}
  if (i >= p.size) { return; }
  let o = i % O;
  let pixel = i / O;
  var taps = 0u;
  var differing = 0u;
  for (var tap = 0u; tap < KH * KW; tap++) {
    // Numbers below 0 are very large.
    let h = pixel / OW % OH * SH + tap / KW - TOP;
    let w = pixel % OW * SW + tap % KW - LEFT;
    if (h >= H || w >= W) { continue; }
    taps++;
    let at = ((pixel / (OH * OW) * H + h) * W + w) * WORDS;
    for (var word = 0u; word < WORDS; word++) {
      differing += countOneBits(a[at + word] ^ b[(tap * WORDS + word) * O + o]);
    }
  }
  y[i] = f32(i32(taps * C) - 2 * i32(differing));
}`,
    inputs: { a, b },
    outputs: { y },
    elements: { a: 'u32', b: 'u32' },
    numbers: { size: ['u32', size] },
    groups: flatGroups(size),
  });
  return y;
}

const binaryInputGradient: Own<'BnnBinaryConvInputGrad'> = (backend, inputs, attrs) => {
  const { x, dy, filter, sum } = inputs;
  const slope = slopeOf(backend, attrs);
  const finish = {
    inputs: { x_values: x, ...(sum !== undefined && { other: sum }), ...slope.inputs },
    numbers: slope.numbers,
    code: `fn finish(i: u32, sum: f32) -> f32 {
  let x = x_values[i];
  ${slope.code}
  return sum * s${sum === undefined ? '' : ' + other[i]'};
}`,
  };
  const gradient = inputGradient(backend, inputs, attrs, x.shape, finish);
  if (gradient !== undefined) return gradient;
  const dsigns = plainKernel('Conv2DBackpropInput', backend, { dy, filter }, { ...attrs, inputShape: x.shape });
  const dx = ELEMENTWISE_KERNELS.BnnSignGrad(backend, { x, dy: dsigns }, attrs);
  backend.disposeData(dsigns.dataId);
  if (sum === undefined) return dx;
  const total = plainKernel('Add', backend, { a: dx, b: sum }, {});
  backend.disposeData(dx.dataId);
  return total;
};

const binaryFilterGradient: Own<'BnnBinaryConvFilterGrad'> = (backend, inputs, attrs) => {
  const packed = keptSigns(backend, inputs.x);
  if (packed !== null) {
    const fromBits = filterGradient(backend, inputs, attrs, { packed });
    if (fromBits !== undefined) return fromBits;
  }
  const gradient = filterGradient(backend, inputs, attrs, 'signs');
  if (gradient !== undefined) return gradient;
  const { x, dy } = inputs;
  return onSigns(backend, x, (signs) => plainKernel('Conv2DBackpropFilter', backend, { x: signs, dy }, attrs));
};

/** For convolutions that no kernel here knows. */
function onSigns(
  backend: WebgpuBackend,
  x: tf.TensorInfo,
  work: (signs: tf.TensorInfo) => tf.TensorInfo,
): tf.TensorInfo {
  const signs = ELEMENTWISE_KERNELS.BnnSign(backend, { x });
  const result = work(signs);
  backend.disposeData(signs.dataId);
  return result;
}

function plainKernel(
  name: string,
  backend: WebgpuBackend,
  inputs: Record<string, tf.TensorInfo>,
  attrs: Attributes,
): tf.TensorInfo {
  const result = tf.getKernel(name, WEBGPU)?.kernelFunc({ inputs, backend, attrs: attrs as tf.NamedAttrMap });
  if (result === undefined || Array.isArray(result)) throw new Error(`internal: ${name} gave no tensor`);
  return result;
}

export const BINARY_CONVOLUTION_KERNELS = {
  BnnBinaryConv: binaryConvolution,
  BnnBinaryConvInputGrad: binaryInputGradient,
  BnnBinaryConvFilterGrad: binaryFilterGradient,
} satisfies OwnKernels;
