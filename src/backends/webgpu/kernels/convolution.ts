/**
 * Conv2D and both its gradients on NHWC activations and HWIO weights, as tiled products (`tiled-product.ts`).
 *
 * With output pixel (oh, ow) and tap (kh, kw), the input pixel is (oh · stride + kh − top, ow · stride + kw − left).
 */

import * as tf from '@tensorflow/tfjs-core';
import type { WebgpuBackend } from '../webgpu-backend.ts';
import { type Attributes, type Inputs, replaceKernel, required } from './kernel.ts';
import type { Finish, TiledProduct } from './product-parts.ts';
import { tiledProduct } from './tiled-product.ts';

export type Info = tf.backend_util.Conv2DInfo;

/** Sizes of a convolution, or null for what the kernels here do not do. */
export function convolutionOf(x: number[], filter: number[], attrs: Attributes): Info | null {
  const { backend_util } = tf;
  const format = attrs['dataFormat'] ?? 'NHWC';
  const dilations = (attrs['dilations'] ?? 1) as number | [number, number];
  const info = backend_util.computeConv2DInfo(
    x as [number, number, number, number],
    filter as [number, number, number, number],
    attrs['strides'] as [number, number],
    dilations,
    attrs['pad'] as 'same',
    attrs['dimRoundingMode'] as 'floor',
  );
  const isPlain = format === 'NHWC' && info.dilationHeight === 1 && info.dilationWidth === 1;
  return isPlain && info.inChannels === filter[2] ? info : null;
}

/** The sizes as WGSL constants, except the number of pictures. */
export function constants(info: Info): string {
  const values: Record<string, number> = {
    H: info.inHeight,
    W: info.inWidth,
    C: info.inChannels,
    OH: info.outHeight,
    OW: info.outWidth,
    O: info.outChannels,
    KW: info.filterWidth,
    SH: info.strideHeight,
    SW: info.strideWidth,
    TOP: info.padInfo.top,
    LEFT: info.padInfo.left,
  };
  return Object.entries(values)
    .map(([name, value]) => `const ${name} = ${value}u;`)
    .join('\n');
}

/**
 * x, or its sign, at a tap (kh · KW + kw) · C + c of an output pixel: the position is (h, w, index into the array). Numbers below 0 are
 * very large, so out of range. An array may be read out of range in WGSL, so nothing branches: compilers take long for branches here.
 */
const INPUT_AT = (data: Operand) => `
fn of_pixel(pixel: u32) -> vec3<u32> {
  let h = pixel / OW % OH * SH - TOP;
  let w = pixel % OW * SW - LEFT;
  return vec3<u32>(h, w, (pixel / (OH * OW) * (H * W) + h * W + w) * C);
}
fn of_tap(tap: u32) -> vec3<u32> {
  let h = tap / (C * KW);
  let w = tap / C % KW;
  return vec3<u32>(h, w, (h * W + w) * C + tap % C);
}
fn load_a(at: vec3<u32>) -> f32 {
  return select(0.0, ${elementOf(data)}, (at.x < H) & (at.y < W));
}`;

/** What is convolved: x, its signs, or these from bits that were packed before. */
type Operand = 'values' | 'signs' | { readonly packed: tf.TensorInfo };

function elementOf(data: Operand): string {
  if (data === 'values') return 'a[at.z]';
  if (data === 'signs') return 'select(-1.0, 1.0, a[at.z] >= 0.0)';
  const bits = 'min(C, 32u)';
  return `select(-1.0, 1.0, ((a[at.z / ${bits}] >> (at.z % ${bits})) & 1u) != 0u)`;
}

const ROWS_OF_B = `
fn b_column(n: u32) -> u32 { return n; }
fn b_depth(k: u32) -> u32 { return k * O; }`;

export function convolve(
  backend: WebgpuBackend,
  { x, filter }: { readonly x: tf.TensorInfo; readonly filter: tf.TensorInfo },
  info: Info,
  data: 'values' | 'signs',
): tf.TensorInfo {
  return tiledProduct(backend, {
    label: 'convolution',
    m: info.batchSize * info.outHeight * info.outWidth,
    n: info.outChannels,
    k: info.filterHeight * info.filterWidth * info.inChannels,
    a: x,
    b: filter,
    loads: `${constants(info)}\n${INPUT_AT(data)}${ROWS_OF_B}
fn a_row(m: u32) -> vec3<u32> { return of_pixel(m); }
fn a_depth(k: u32) -> vec3<u32> { return of_tap(k); }`,
    aContiguous: 'k',
    bContiguous: 'n',
    shape: info.outShape,
  });
}

export function filterGradient(
  backend: WebgpuBackend,
  inputs: Inputs,
  attrs: Attributes,
  data: Operand = 'values',
): tf.TensorInfo | undefined {
  const [x, dy] = [required(inputs, 'x'), required(inputs, 'dy')];
  const shape = attrs['filterShape'] as number[];
  const info = convolutionOf(x.shape, shape, attrs);
  if (info === null) return undefined;
  return tiledProduct(backend, {
    label: 'filter gradient',
    m: info.filterHeight * info.filterWidth * info.inChannels,
    n: info.outChannels,
    k: info.batchSize * info.outHeight * info.outWidth,
    a: typeof data === 'string' ? x : data.packed,
    ...(typeof data !== 'string' && { aElement: 'u32' as const }),
    b: dy,
    loads: `${constants(info)}\n${INPUT_AT(data)}${ROWS_OF_B}
fn a_row(m: u32) -> vec3<u32> { return of_tap(m); }
fn a_depth(k: u32) -> vec3<u32> { return of_pixel(k); }`,
    aContiguous: 'm',
    bContiguous: 'n',
    gradient: data === 'values' ? undefined : 'b',
    shape,
  });
}

export interface InputGradient {
  /** Of the gradient at each element of the input. */
  readonly finish?: Finish;
  /** Whether the filter is known to consist of ±1; false unless told. */
  readonly filterIsSigns?: boolean;
}

export function inputGradient(
  backend: WebgpuBackend,
  inputs: Inputs,
  attrs: Attributes,
  shape: number[],
  { finish, filterIsSigns = false }: InputGradient = {},
): tf.TensorInfo | undefined {
  const [dy, filter] = [required(inputs, 'dy'), required(inputs, 'filter')];
  const info = convolutionOf(shape, filter.shape, attrs);
  if (info === null) return undefined;
  const isDense = info.strideHeight === 1 && info.strideWidth === 1;
  const common = {
    label: 'input gradient',
    n: info.inChannels,
    a: dy,
    b: filter,
    aContiguous: 'k',
    bContiguous: 'k',
    gradient: filterIsSigns ? 'a' : undefined,
    shape,
    finish,
  } as const;
  if (!isDense) return tiledProduct(backend, { ...common, ...byParity(info) });
  return tiledProduct(backend, {
    ...common,
    m: info.batchSize * info.inHeight * info.inWidth,
    k: info.filterHeight * info.filterWidth * info.outChannels,
    loads: `${constants(info)}
fn a_row(m: u32) -> vec3<u32> {
  let h = m / W % H + TOP;
  let w = m % W + LEFT;
  return vec3<u32>(h, w, (m / (H * W) * (OH * OW) + h * OW + w) * O);
}
fn a_depth(k: u32) -> vec3<u32> {
  let h = k / (O * KW);
  let w = k / O % KW;
  return vec3<u32>(0u - h, 0u - w, k % O - (h * OW + w) * O);
}
${OUTPUT_AT}
fn b_column(n: u32) -> u32 { return n * O; }
fn b_depth(k: u32) -> u32 { return k / O * (C * O) + k % O; }`,
  });
}

/** dy at (oh, ow, index into dy), 0 outside. */
const OUTPUT_AT = `
fn load_a(at: vec3<u32>) -> f32 { return select(0.0, a[at.z], (at.x < OH) & (at.y < OW)); }`;

/** Along one dimension: the positions that one remainder of (position + padding) / stride has, and the taps that reach them. */
interface Parity {
  /** The first position, and how many there are. */
  readonly first: number;
  readonly count: number;
  /** The first tap, and how many there are. */
  readonly tap: number;
  readonly taps: number;
  /** The output position of the first tap at the first position. */
  readonly output: number;
}

function paritiesOf(size: number, stride: number, padding: number, kernel: number): Parity[] {
  return Array.from({ length: stride }, (_, remainder) => {
    const first = (((remainder - padding) % stride) + stride) % stride;
    return {
      first,
      count: Math.max(0, Math.ceil((size - first) / stride)),
      tap: remainder,
      taps: Math.max(0, Math.ceil((kernel - remainder) / stride)),
      output: (first + padding - remainder) / stride,
    };
  });
}

/**
 * Where strides are larger than 1 only some taps reach an input pixel: those whose remainder by the stride is that of its position. Pixels of
 * the same remainders are a class of rows, whose sums have these taps alone: with 3×3 taps and strides of 2 a quarter of the products.
 */
function byParity(info: Info): Pick<TiledProduct, 'm' | 'k' | 'loads' | 'classes'> {
  const { strideHeight: sh, strideWidth: sw, filterHeight, filterWidth, batchSize, outChannels, padInfo } = info;
  const down = paritiesOf(info.inHeight, sh, padInfo.top, filterHeight);
  const across = paritiesOf(info.inWidth, sw, padInfo.left, filterWidth);
  const list = (name: string, of: (parity: Parity) => number, parities: readonly Parity[]) =>
    `const ${name} = array<u32, ${parities.length}>(${parities.map((parity) => `${of(parity)}u`).join(', ')});`;
  const tables = (['first', 'count', 'tap', 'taps', 'output'] as const).flatMap((field) => [
    list(`${field}_h`, (parity) => parity[field], down),
    list(`${field}_w`, (parity) => parity[field], across),
  ]);
  const pixels = (a: Parity, b: Parity) => batchSize * a.count * b.count;
  const depth = (a: Parity, b: Parity) => a.taps * b.taps * outChannels;
  const pairs = down.flatMap((a) => across.map((b) => [a, b] as const));
  return {
    m: Math.max(...pairs.map(([a, b]) => pixels(a, b))),
    k: Math.max(...pairs.map(([a, b]) => depth(a, b))),
    loads: `${constants(info)}
${tables.join('\n')}
var<private> n_h: u32;
var<private> n_w: u32;
var<private> taps_across: u32;
var<private> start: vec2<u32>;
var<private> origin: vec2<u32>;
var<private> first_tap: vec2<u32>;
fn choose(class_number: u32) {
  let ph = class_number / SW;
  let pw = class_number % SW;
  n_h = count_h[ph];
  n_w = count_w[pw];
  taps_across = max(taps_w[pw], 1u);
  start = vec2<u32>(output_h[ph], output_w[pw]);
  origin = vec2<u32>(first_h[ph], first_w[pw]);
  first_tap = vec2<u32>(tap_h[ph], tap_w[pw]);
}
fn a_row(m: u32) -> vec3<u32> {
  let h = start.x + m / n_w % n_h;
  let w = start.y + m % n_w;
  return vec3<u32>(h, w, ((m / (n_h * n_w) * OH + h) * OW + w) * O);
}
fn a_depth(k: u32) -> vec3<u32> {
  let h = k / (O * taps_across);
  let w = k / O % taps_across;
  return vec3<u32>(0u - h, 0u - w, k % O - (h * OW + w) * O);
}
${OUTPUT_AT}
fn b_column(n: u32) -> u32 { return n * O; }
fn b_depth(k: u32) -> u32 {
  let h = first_tap.x + k / (O * taps_across) * SH;
  let w = first_tap.y + k / O % taps_across * SW;
  return (h * KW + w) * (C * O) + k % O;
}`,
    classes: {
      count: sh * sw,
      multiplyAdds: pairs.reduce((sum, [a, b]) => sum + pixels(a, b) * info.inChannels * depth(a, b), 0),
      code: `fn class_rows() -> u32 { return ${batchSize}u * n_h * n_w; }
fn class_depth(class_number: u32) -> u32 { return taps_h[class_number / SW] * taps_w[class_number % SW] * O; }
fn class_place(m: u32) -> u32 {
  let h = origin.x + m / n_w % n_h * SH;
  let w = origin.y + m % n_w * SW;
  return (m / (n_h * n_w) * H + h) * W + w;
}`,
    },
  };
}

export function registerConvolutions(): void {
  replaceKernel('Conv2D', (backend, inputs, attrs) => {
    const given = { x: required(inputs, 'x'), filter: required(inputs, 'filter') };
    const info = convolutionOf(given.x.shape, given.filter.shape, attrs);
    return info === null ? undefined : convolve(backend, given, info, 'values');
  });
  replaceKernel('Conv2DBackpropFilter', (...call) => filterGradient(...call));
  replaceKernel('Conv2DBackpropInput', (backend, inputs, attrs) =>
    inputGradient(backend, inputs, attrs, attrs['inputShape'] as number[]),
  );
}
