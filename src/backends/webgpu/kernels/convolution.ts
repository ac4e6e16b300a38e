/**
 * Conv2D and both its gradients on NHWC activations and HWIO weights, as tiled products (`tiled-product.ts`).
 *
 * With output pixel (oh, ow) and tap (kh, kw), the input pixel is (oh · stride + kh − top, ow · stride + kw − left).
 */

import * as tf from '@tensorflow/tfjs-core';
import type { WebgpuBackend } from '../webgpu-backend.ts';
import { type Attributes, type Inputs, replaceKernel, required } from './kernel.ts';
import { type Finish, tiledProduct } from './tiled-product.ts';

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
const INPUT_AT = (signs: boolean) => `
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
  return select(0.0, ${signs ? 'select(-1.0, 1.0, a[at.z] >= 0.0)' : 'a[at.z]'}, (at.x < H) & (at.y < W));
}`;

const ROWS_OF_B = `
fn b_column(n: u32) -> u32 { return n; }
fn b_depth(k: u32) -> u32 { return k * O; }`;

/** @param signs  convolves sign(x) instead of x. */
export function convolve(
  backend: WebgpuBackend,
  { x, filter }: { readonly x: tf.TensorInfo; readonly filter: tf.TensorInfo },
  info: Info,
  signs: boolean,
): tf.TensorInfo {
  return tiledProduct(backend, {
    label: 'convolution',
    m: info.batchSize * info.outHeight * info.outWidth,
    n: info.outChannels,
    k: info.filterHeight * info.filterWidth * info.inChannels,
    a: x,
    b: filter,
    loads: `${constants(info)}\n${INPUT_AT(signs)}${ROWS_OF_B}
fn a_row(m: u32) -> vec3<u32> { return of_pixel(m); }
fn a_depth(k: u32) -> vec3<u32> { return of_tap(k); }`,
    aContiguous: 'k',
    bContiguous: 'n',
    shape: info.outShape,
  });
}

/** @param signs  of the convolution of sign(x). */
export function filterGradient(
  backend: WebgpuBackend,
  inputs: Inputs,
  attrs: Attributes,
  signs = false,
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
    a: x,
    b: dy,
    loads: `${constants(info)}\n${INPUT_AT(signs)}${ROWS_OF_B}
fn a_row(m: u32) -> vec3<u32> { return of_tap(m); }
fn a_depth(k: u32) -> vec3<u32> { return of_pixel(k); }`,
    aContiguous: 'm',
    bContiguous: 'n',
    shape,
  });
}

/** @param finish  of the gradient at each element of the input. */
export function inputGradient(
  backend: WebgpuBackend,
  inputs: Inputs,
  attrs: Attributes,
  shape: number[],
  finish?: Finish,
): tf.TensorInfo | undefined {
  const [dy, filter] = [required(inputs, 'dy'), required(inputs, 'filter')];
  const info = convolutionOf(shape, filter.shape, attrs);
  if (info === null) return undefined;
  const isDense = info.strideHeight === 1 && info.strideWidth === 1;
  return tiledProduct(backend, {
    label: 'input gradient',
    m: info.batchSize * info.inHeight * info.inWidth,
    n: info.inChannels,
    k: info.filterHeight * info.filterWidth * info.outChannels,
    a: dy,
    b: filter,
    loads: `${constants(info)}
// (oh · SH, ow · SW), and an index into dy that is right where the strides are 1; else of the picture and the channel alone.
fn a_row(m: u32) -> vec3<u32> {
  let h = m / W % H + TOP;
  let w = m % W + LEFT;
  return vec3<u32>(h, w, (m / (H * W) * (OH * OW)${isDense ? ' + h * OW + w' : ''}) * O);
}
fn a_depth(k: u32) -> vec3<u32> {
  let h = k / (O * KW);
  let w = k / O % KW;
  return vec3<u32>(0u - h, 0u - w, k % O${isDense ? ' - (h * OW + w) * O' : ''});
}
fn load_a(at: vec3<u32>) -> f32 {
${
  isDense
    ? '  return select(0.0, a[at.z], (at.x < OH) & (at.y < OW));'
    : `  let h = at.x / SH;
  let w = at.y / SW;
  let is_tap = (h < OH) & (w < OW) & (h * SH == at.x) & (w * SW == at.y);
  return select(0.0, a[at.z + (h * OW + w) * O], is_tap);`
}
}
fn b_column(n: u32) -> u32 { return n * O; }
fn b_depth(k: u32) -> u32 { return k / O * (C * O) + k % O; }`,
    aContiguous: 'k',
    bContiguous: 'k',
    shape,
    finish,
  });
}

export function registerConvolutions(): void {
  replaceKernel('Conv2D', (backend, inputs, attrs) => {
    const given = { x: required(inputs, 'x'), filter: required(inputs, 'filter') };
    const info = convolutionOf(given.x.shape, given.filter.shape, attrs);
    return info === null ? undefined : convolve(backend, given, info, false);
  });
  replaceKernel('Conv2DBackpropFilter', (...call) => filterGradient(...call));
  replaceKernel('Conv2DBackpropInput', (backend, inputs, attrs) =>
    inputGradient(backend, inputs, attrs, attrs['inputShape'] as number[]),
  );
}
