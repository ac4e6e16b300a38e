/**
 * Convolution of sign(x) without a tensor of signs.
 *
 * Where the filter consists of ±1, signs of both are packed into words of 32 channels, as in `core/numbers/bits.ts`: bit 1 is +1, pad bits are 0.
 * A tap inside the picture then adds C − 2 · popcount(x ⊕ filter), and one in the padding nothing: the sums are exact integers.
 */

import * as tf from '@tensorflow/tfjs-core';
import { dispatch, FLAT_HEAD, flatGroups } from '../dispatch.ts';
import { keptForm, WORD_BITS } from '../kept-forms.ts';
import { allocateShorts, MOST_SHORT, TO_SHORTS } from '../short-sums.ts';
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
  const keptA = keptForm(backend, x.dataId, 'signs');
  const keptB = keptForm(backend, filter.dataId, 'filter signs');
  const a = keptA ?? packSigns(backend, x, { rows: pixels, channels, columns: 1 });
  const b = keptB ?? packSigns(backend, filter, { rows: filterHeight * filterWidth, channels, columns: outChannels });
  const y = multiplyPacked(backend, a, b, info, attrs.isNormalized === true);
  if (keptA === null) backend.disposeData(a.dataId);
  if (keptB === null) backend.disposeData(b.dataId);
  return y;
};

/** Output pixels of a thread, and output channels where their number allows it. */
const PIXELS = 4;
const CHANNELS = 4;

/**
 * A thread computes four pixels of four channels: in each step it loads a word of each pixel and a word of each filter, and has 16 pairs of
 * them, so that counting bits is most of its work, not loading.
 *
 * @param short  whether a result in 16 bits is welcome.
 */
function multiplyPacked(
  backend: WebgpuBackend,
  a: tf.TensorInfo,
  b: tf.TensorInfo,
  info: Info,
  short: boolean,
): tf.TensorInfo {
  const { outChannels, filterHeight, filterWidth, inChannels } = info;
  const lanes = outChannels % CHANNELS === 0 ? CHANNELS : 1;
  const isShort = short && lanes === CHANNELS && filterHeight * filterWidth * inChannels <= MOST_SHORT;
  const { y, shorts } = isShort
    ? allocateShorts(backend, info.outShape)
    : { y: allocate(backend, info.outShape), shorts: null };
  const words = Math.ceil(inChannels / WORD_BITS);
  const together = words % 4 === 0 ? 4 : words % 2 === 0 ? 2 : 1;
  const pixels = info.batchSize * info.outHeight * info.outWidth;
  const columns = outChannels / lanes;
  dispatch(backend, {
    label: 'binary convolution',
    code: packedProduct(info, { lanes, words, together, isShort }),
    inputs: { a, b },
    outputs: { y: shorts ?? y },
    elements: {
      a: wordsOf(together),
      b: wordsOf(lanes),
      y: isShort ? 'vec2<u32>' : lanes === CHANNELS ? 'vec4<f32>' : 'f32',
    },
    numbers: { pixels: ['u32', pixels] },
    groups: flatGroups(Math.ceil(pixels / PIXELS) * columns),
  });
  return y;
}

function wordsOf(count: 1 | 2 | 4) {
  return count === 1 ? 'u32' : (`vec${count}<u32>` as const);
}

interface PackedProduct {
  /** Output channels of a thread. */
  readonly lanes: 1 | 4;
  /** Of the signs of a pixel, and how many of them are loaded at once. */
  readonly words: number;
  readonly together: 1 | 2 | 4;
  readonly isShort: boolean;
}

function packedProduct(info: Info, { lanes, words, together, isShort }: PackedProduct): string {
  const each = (code: (p: number) => string) => Array.from({ length: PIXELS }, (_, p) => code(p)).join('\n');
  const counts = wordsOf(lanes);
  const sums = lanes === 1 ? 'i32' : 'vec4<i32>';
  const floats = lanes === 1 ? 'f32' : 'vec4<f32>';
  const steps = Array.from({ length: together }, (_, k) => {
    const word = (p: number) => (together === 1 ? `a${p}` : `a${p}[${k}]`);
    return `      {
        let filters = b[(tap * WORDS + word * ${together}u + ${k}u) * COLUMNS + o];
${each((p) => `        differing${p} += countOneBits((${counts}(${word(p)}) ^ filters) & ${counts}(inside${p}));`)}
      }`;
  });
  return `${isShort ? TO_SHORTS : ''}${constants(info)}
const KH = ${info.filterHeight}u;
const WORDS = ${words}u;
const COLUMNS = ${info.outChannels / lanes}u;
/** The first row and column of the input, and the picture's first pixel. */
fn origin(pixel: u32) -> vec3<u32> {
  return vec3<u32>(pixel / OW % OH * SH - TOP, pixel % OW * SW - LEFT, pixel / (OH * OW) * (H * W));
}
${FLAT_HEAD}
  let o = i % COLUMNS;
  let first = i / COLUMNS * ${PIXELS}u;
  if (first >= p.pixels) { return; }
${each((p) => `  let origin${p} = origin(first + ${p}u);`)}
${each((p) => `  var differing${p} = ${counts}(); var taps${p} = 0u;`)}
  for (var tap = 0u; tap < KH * KW; tap++) {
    let shift = vec2<u32>(tap / KW, tap % KW);
    // Numbers below 0 are very large. A tap in the padding reads something, of which no bit counts.
${each(
  (p) => `    let at${p} = origin${p}.xy + shift;
    let inside${p} = select(0u, 0xffffffffu, (at${p}.x < H) & (at${p}.y < W));
    let from${p} = ((origin${p}.z + at${p}.x * W + at${p}.y) & inside${p}) * ${words / together}u;
    taps${p} += inside${p} & 1u;`,
)}
    for (var word = 0u; word < ${words / together}u; word++) {
${each((p) => `      let a${p} = a[from${p} + word];`)}
${steps.join('\n')}
    }
  }
${each(
  (p) => `  if (first + ${p}u < p.pixels) {
    let sum = ${sums}(i32(taps${p} * C)) - 2 * ${sums}(differing${p});
    y[(first + ${p}u) * COLUMNS + o] = ${isShort ? 'to_shorts(sum)' : `${floats}(sum)`};
  }`,
)}
}`;
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
  const filterIsSigns = keptForm(backend, filter.dataId, 'filter signs') !== null;
  const gradient = inputGradient(backend, inputs, attrs, x.shape, { finish, filterIsSigns });
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
  const packed = keptForm(backend, inputs.x.dataId, 'signs');
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
