/**
 * Conv2D and both its gradients on NHWC activations and HWIO weights, as tiled products (`tiled-product.ts`).
 *
 * With output pixel (oh, ow) and tap (kh, kw), the input pixel is (oh · stride + kh − top, ow · stride + kw − left).
 */

import * as tf from '@tensorflow/tfjs-core';
import type { WebgpuBackend } from '../device.ts';
import { type Attributes, type Inputs, registerKernel, required } from './kernel.ts';
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
 * x, or its sign, at the tap `tap` = (kh · KW + kw) · C + c of the output pixel `pixel`; unsigned numbers below 0 are very large, so out
 * of range.
 */
const INPUT_AT = (array: string, signs: boolean) => `
fn input_at(pixel: u32, tap: u32) -> f32 {
  let h = (pixel / OW) % OH * SH + tap / (C * KW) - TOP;
  let w = pixel % OW * SW + (tap / C) % KW - LEFT;
  if (h >= H || w >= W) { return 0.0; }
  let x = ${array}[((pixel / (OH * OW) * H + h) * W + w) * C + tap % C];
  return ${signs ? 'select(-1.0, 1.0, x >= 0.0)' : 'x'};
}`;

/** @param signs  convolves sign(x) instead of x. */
export function forward(
  backend: WebgpuBackend,
  inputs: Inputs,
  attrs: Attributes,
  signs = false,
): tf.TensorInfo | undefined {
  const [x, filter] = [required(inputs, 'x'), required(inputs, 'filter')];
  const info = convolutionOf(x.shape, filter.shape, attrs);
  if (info === null) return undefined;
  return tiledProduct(backend, {
    m: info.batchSize * info.outHeight * info.outWidth,
    n: info.outChannels,
    k: info.filterHeight * info.filterWidth * info.inChannels,
    a: x,
    b: filter,
    loads: `${constants(info)}\n${INPUT_AT('a', signs)}
fn load_a(m: u32, k: u32) -> f32 { return input_at(m, k); }
fn load_b(k: u32, n: u32) -> f32 { return b[k * O + n]; }`,
    aContiguous: 'k',
    bContiguous: 'n',
    splitsDepth: false,
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
    m: info.filterHeight * info.filterWidth * info.inChannels,
    n: info.outChannels,
    k: info.batchSize * info.outHeight * info.outWidth,
    a: x,
    b: dy,
    loads: `${constants(info)}\n${INPUT_AT('a', signs)}
fn load_a(m: u32, k: u32) -> f32 { return input_at(k, m); }
fn load_b(k: u32, n: u32) -> f32 { return b[k * O + n]; }`,
    aContiguous: 'm',
    bContiguous: 'n',
    splitsDepth: true,
    shape,
  });
}

function inputGradient(backend: WebgpuBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo | undefined {
  const [dy, filter] = [required(inputs, 'dy'), required(inputs, 'filter')];
  const shape = attrs['inputShape'] as number[];
  const info = convolutionOf(shape, filter.shape, attrs);
  if (info === null) return undefined;
  return tiledProduct(backend, {
    m: info.batchSize * info.inHeight * info.inWidth,
    n: info.inChannels,
    k: info.filterHeight * info.filterWidth * info.outChannels,
    a: dy,
    b: filter,
    loads: `${constants(info)}
fn load_a(m: u32, k: u32) -> f32 {
  let h = m / W % H + TOP - k / (O * KW);
  let w = m % W + LEFT - k / O % KW;
  let oh = h / SH;
  let ow = w / SW;
  if (oh >= OH || ow >= OW || oh * SH != h || ow * SW != w) { return 0.0; }
  return a[((m / (H * W) * OH + oh) * OW + ow) * O + k % O];
}
fn load_b(k: u32, n: u32) -> f32 { return b[(k / O * C + n) * O + k % O]; }`,
    aContiguous: 'k',
    bContiguous: 'k',
    splitsDepth: false,
    shape,
  });
}

export function registerConvolutions(): void {
  registerKernel('Conv2D', (...call) => forward(...call));
  registerKernel('Conv2DBackpropFilter', (...call) => filterGradient(...call));
  registerKernel('Conv2DBackpropInput', inputGradient);
}
