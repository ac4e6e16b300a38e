/**
 * Convolutions of one or several groups with their gradients: NHWC activations, HWIO filters of [height, width, channels / groups, outputs];
 * any strides and dilations. Padding is 0.
 *
 * `BnnConv` {x, filter}, `BnnConvInputGrad` {dy, filter}, `BnnConvFilterGrad` {x, dy}.
 */

import * as tf from '@tensorflow/tfjs-core';
import { elementCount } from '../core/tensors/shape.ts';
import { type ExplicitPadding, type Pair, padBefore, paddedShape, unpadGradient } from './padding.ts';
import { runTfjsKernel } from './tfjs-kernel.ts';

/** What is multiplied; sums are of float32. */
export type Precision = 'float32' | 'bf16';

/** In the gradients of layers with binary weights; `bf16-all`: also in their forward pass while training, where activations are floats. */
export type TrainingPrecision = Precision | 'bf16-all';

/** As of tfjs's Conv2D. */
export type ConvAttributes = {
  readonly strides: Pair;
  readonly dilations: Pair;
  readonly pad: ExplicitPadding | 'valid' | 'same';
  /** That the backend's own Conv2D takes no pairs as `pad`: a composition pads the input beforehand. */
  readonly padsBefore: boolean;
  readonly dataFormat: 'NHWC';
  readonly dimRoundingMode: undefined;
  /** On backends that have a choice (without groups); float32 unless told. Sums of signs are exact in either. */
  readonly precision?: Precision;
};

export type GroupedConvAttributes = ConvAttributes & { readonly groups: number };
export type InputShape = { readonly inputShape: readonly number[] };
export type FilterShape = { readonly filterShape: readonly number[] };

export function conv(
  { x, filter }: { readonly x: tf.Tensor; readonly filter: tf.Tensor },
  attributes: GroupedConvAttributes,
): tf.Tensor {
  return compositionOf(attributes, filter.shape).forward(x, filter);
}

export function convInputGrad(
  { dy, filter }: { readonly dy: tf.Tensor; readonly filter: tf.Tensor },
  { inputShape, ...attributes }: GroupedConvAttributes & InputShape,
): tf.Tensor {
  return compositionOf(attributes, filter.shape).inputGradient(dy, filter, inputShape);
}

export function convFilterGrad(
  { x, dy }: { readonly x: tf.Tensor; readonly dy: tf.Tensor },
  { filterShape, ...attributes }: GroupedConvAttributes & FilterShape,
): tf.Tensor {
  return compositionOf(attributes, filterShape).filterGradient(x, dy, filterShape);
}

/** Callers own what is returned. */
interface Composition {
  forward(x: tf.Tensor, filter: tf.Tensor): tf.Tensor;
  inputGradient(dy: tf.Tensor, filter: tf.Tensor, inputShape: readonly number[]): tf.Tensor;
  filterGradient(x: tf.Tensor, dy: tf.Tensor, filterShape: readonly number[]): tf.Tensor;
}

function compositionOf(attributes: GroupedConvAttributes, [, , perGroup]: readonly number[]): Composition {
  const { groups } = attributes;
  if (groups === 1) return denseConvolution(attributes);
  return perGroup === 1 ? depthwiseConvolution(attributes) : groupedConvolution(attributes, groups);
}

/** What a composition pads beforehand, and the attributes of tfjs's Conv2D after that. */
export function plainConv({ strides, pad, padsBefore, dataFormat }: ConvAttributes) {
  const before = padsBefore && typeof pad !== 'string' ? pad : null;
  const attributes = {
    ...{ strides, pad: before === null ? pad : 'valid', dataFormat },
    ...{ dilations: [1, 1], dimRoundingMode: undefined },
  };
  return { before, attributes };
}

/** Every output channel reads every input channel. */
function denseConvolution(given: ConvAttributes): Composition {
  const { before, attributes } = plainConv(given);
  const [dh, dw] = given.dilations;
  const spread = (filter: tf.Tensor) => insertZeros(filter, 0, [dh, dw]);
  return {
    forward: (x, filter) =>
      tf.tidy(() => runTfjsKernel('Conv2D', { x: padBefore(x, before), filter: spread(filter) }, attributes)),
    inputGradient: (dy, filter, shape) =>
      tf.tidy(() => {
        const inputs = { dy, filter: spread(filter) };
        const inputShape = paddedShape(shape, before);
        const dx = runTfjsKernel('Conv2DBackpropInput', inputs, { ...attributes, inputShape });
        return unpadGradient(dx, before, shape);
      }),
    filterGradient: (x, dy, shape) =>
      tf.tidy(() => {
        const [kh = 1, kw = 1, ...channels] = shape;
        const filterShape = [(kh - 1) * dh + 1, (kw - 1) * dw + 1, ...channels];
        const inputs = { x: padBefore(x, before), dy };
        const wide = runTfjsKernel('Conv2DBackpropFilter', inputs, { ...attributes, filterShape });
        return dh === 1 && dw === 1 ? wide : tf.stridedSlice(wide, [0, 0, 0, 0], filterShape, [dh, dw, 1, 1]);
      }),
  };
}

/** `group` convolutions side by side, each of its own channels. */
function groupedConvolution(attributes: ConvAttributes, group: number): Composition {
  const dense = denseConvolution(attributes);
  const part = (t: tf.Tensor, i: number): tf.Tensor => {
    const [a = 1, b = 1, c = 1, channels = 0] = t.shape;
    return tf.slice(t, [0, 0, 0, (i * channels) / group], [a, b, c, channels / group]);
  };
  const each = (compute: (i: number) => tf.Tensor): tf.Tensor =>
    tf.tidy(() =>
      tf.concat(
        Array.from({ length: group }, (_, i) => compute(i)),
        3,
      ),
    );
  const perGroup = (shape: readonly number[]) => [...shape.slice(0, 3), (shape[3] ?? 0) / group];
  return {
    forward: (x, filter) => each((i) => dense.forward(part(x, i), part(filter, i))),
    inputGradient: (dy, filter, shape) =>
      each((i) => dense.inputGradient(part(dy, i), part(filter, i), perGroup(shape))),
    filterGradient: (x, dy, shape) => each((i) => dense.filterGradient(part(x, i), part(dy, i), perGroup(shape))),
  };
}

/**
 * One input channel for each output channel, `multiplier` outputs for each input: a sum over the taps of the window of shifted
 * pictures times a number per channel.
 */
function depthwiseConvolution(attributes: ConvAttributes): Composition {
  const { strides, dilations } = attributes;
  return {
    forward: (x, filter) =>
      tf.tidy(() => {
        const padded = tf.pad(repeated(x, filter), paddingOf(attributes, x.shape, filter.shape));
        return sumOfTaps(padded, filter, strides, dilations);
      }),
    // The same sum over dy, with zeros between its pixels where there is a stride, and the window turned around.
    inputGradient: (dy, filter, shape) =>
      tf.tidy(() => {
        const [n = 0, h = 0, w = 0, channels = 0] = shape;
        const padding = paddingOf(attributes, shape, filter.shape);
        const spread = insertZeros(dy, 1, strides);
        const margins = [0, 1].map((i): [number, number] => {
          const reach = ((filter.shape[i] ?? 1) - 1) * (dilations[i] ?? 1);
          const size = i === 0 ? h : w;
          const before = reach - (padding[i + 1]?.[0] ?? 0);
          return [before, size + reach - before - (spread.shape[i + 1] ?? 0)];
        }) as [[number, number], [number, number]];
        const turned = tf.reverse(filter, [0, 1]);
        const wide = sumOfTaps(padOrCut(spread, margins), turned, [1, 1], dilations);
        if (wide.shape[3] === channels) return wide;
        return tf.reshape(tf.sum(tf.reshape(wide, [n * h * w, channels, -1]), 2), [n, h, w, channels]);
      }),
    filterGradient: (x, dy, shape) =>
      tf.tidy(() => {
        const [kh = 1, kw = 1, , outputs = 1] = shape;
        const padded = tf.pad(repeated(x, { shape }), paddingOf(attributes, x.shape, shape));
        const [, oh = 0, ow = 0] = dy.shape;
        const taps: tf.Tensor[] = [];
        for (let r = 0; r < kh; r++) {
          for (let s = 0; s < kw; s++) {
            taps.push(
              tf.tidy(() =>
                tf.sum(tf.mul(tap(padded, [r * dilations[0], s * dilations[1]], [oh, ow], strides), dy), [0, 1, 2]),
              ),
            );
          }
        }
        return tf.reshape(tf.stack(taps), [kh, kw, 1, outputs]);
      }),
  };
}

/** `pad` as pairs. */
function paddingOf(
  { strides, dilations, pad, dimRoundingMode }: ConvAttributes,
  x: readonly number[],
  filter: readonly number[],
): ExplicitPadding {
  if (typeof pad !== 'string') return pad;
  type Shape = [number, number, number, number];
  const { padInfo } = tf.backend_util.computeConv2DInfo(
    x as Shape,
    filter as Shape,
    strides,
    dilations,
    pad,
    dimRoundingMode,
  );
  const { top, bottom, left, right } = padInfo;
  return [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
}

/** Each channel as often as there are outputs for it. */
function repeated(x: tf.Tensor, filter: { readonly shape: readonly number[] }): tf.Tensor {
  const [n = 0, h = 0, w = 0, channels = 1] = x.shape;
  const outputs = filter.shape[3] ?? 1;
  if (outputs === channels) return x;
  const tiled = tf.tile(tf.reshape(x, [n * h * w, channels, 1]), [1, 1, outputs / channels]);
  return tf.reshape(tiled, [n, h, w, outputs]);
}

/** The pixels of x that one tap of the window reads: `size` of them from `begin` on, `strides` apart. */
function tap(
  x: tf.Tensor,
  begin: readonly [number, number],
  size: readonly [number, number],
  strides: readonly [number, number],
): tf.Tensor {
  const [n = 0, , , channels = 0] = x.shape;
  const start = [0, ...begin, 0];
  if (strides[0] === 1 && strides[1] === 1) return tf.slice(x, start, [n, ...size, channels]);
  const end = [n, ...begin.map((at, i) => at + ((size[i] ?? 1) - 1) * (strides[i] ?? 1) + 1), channels];
  return tf.stridedSlice(x, start, end, [1, ...strides, 1]);
}

/** Σ over taps (r, s) of x[n, i·stride + r·dilation, j·stride + s·dilation, c] · filter[r, s, 0, c]. */
function sumOfTaps(
  x: tf.Tensor,
  filter: tf.Tensor,
  strides: readonly [number, number],
  dilations: readonly [number, number],
): tf.Tensor {
  const [kh = 1, kw = 1, , channels = 1] = filter.shape;
  const [, height = 0, width = 0] = x.shape;
  const size: [number, number] = [
    Math.floor((height - (kh - 1) * dilations[0] - 1) / strides[0]) + 1,
    Math.floor((width - (kw - 1) * dilations[1] - 1) / strides[1]) + 1,
  ];
  const weights = tf.reshape(filter, [kh * kw, channels]);
  let sum: tf.Tensor | undefined;
  for (let i = 0; i < kh * kw; i++) {
    const before: tf.Tensor | undefined = sum;
    sum = tf.tidy(() => {
      const begin: [number, number] = [Math.floor(i / kw) * dilations[0], (i % kw) * dilations[1]];
      const weight = tf.reshape(tf.slice(weights, [i, 0], [1, channels]), [channels]);
      const term = tf.mul(tap(x, begin, size, strides), weight);
      return before === undefined ? term : tf.add(before, term);
    });
    before?.dispose();
  }
  if (sum === undefined) throw new Error('internal: a window without taps');
  return sum;
}

/** Zeros between neighbours along the dimensions from `axis` on, so that they lie `steps` apart. */
export function insertZeros(t: tf.Tensor, axis: number, steps: readonly number[]): tf.Tensor {
  let result = t;
  for (const [i, step] of steps.entries()) {
    if (step === 1) continue;
    const at = axis + i;
    const { shape } = result;
    const [outer, size, inner] = [elementCount(shape.slice(0, at)), shape[at] ?? 1, elementCount(shape.slice(at + 1))];
    const rows = tf.reshape(result, [outer * size, 1, inner]);
    const padded = tf.reshape(
      tf.pad(rows, [
        [0, 0],
        [0, step - 1],
        [0, 0],
      ]),
      [outer, size * step, inner],
    );
    const length = (size - 1) * step + 1;
    result = tf.reshape(tf.slice(padded, [0, 0, 0], [outer, length, inner]), [
      ...shape.slice(0, at),
      length,
      ...shape.slice(at + 1),
    ]);
  }
  return result;
}

/** Margins around a picture; negative ones cut. */
function padOrCut(t: tf.Tensor, margins: readonly [readonly [number, number], readonly [number, number]]): tf.Tensor {
  const [n = 0, h = 0, w = 0, c = 0] = t.shape;
  const [[top, bottom], [left, right]] = margins;
  const padded = tf.pad(t, [
    [0, 0],
    [Math.max(0, top), Math.max(0, bottom)],
    [Math.max(0, left), Math.max(0, right)],
    [0, 0],
  ]);
  const begin = [0, Math.max(0, -top), Math.max(0, -left), 0];
  return tf.slice(padded, begin, [n, h + top + bottom, w + left + right, c]);
}
