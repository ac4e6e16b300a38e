/**
 * Convolutions with their gradients: one kernel where the backend has it, else what the kernels of every backend can do. NHWC
 * activations, HWIO weights.
 */

import * as tf from '@tensorflow/tfjs-core';
import { elementCount } from '../../core/shape.ts';
import { hasKernel, runKernel } from '../kernels.ts';
import { padBefore, unpadGradient, type Window } from './window.ts';

/** Callers own what is returned. */
export interface Convolution {
  forward(x: tf.Tensor, filter: tf.Tensor): tf.Tensor;
  inputGradient(dy: tf.Tensor, filter: tf.Tensor, inputShape: readonly number[]): tf.Tensor;
  filterGradient(x: tf.Tensor, dy: tf.Tensor, filterShape: readonly number[]): tf.Tensor;
}

/** Of tfjs's Conv2D and its gradients. */
export function conv2dAttributes({ strides, pad }: Window): object {
  return { strides, pad, dataFormat: 'NHWC', dilations: [1, 1], dimRoundingMode: undefined };
}

/**
 * A convolution of `groups` groups.
 *
 * @param perGroup  input channels of a group.
 */
export function convolution(window: Window, groups: number, perGroup: number): Convolution {
  const plain = composition(window, groups, perGroup);
  const { dilations, pads } = window;
  const attributes = { ...conv2dAttributes(window), pad: [[0, 0], ...pads, [0, 0]], dilations, groups };
  return {
    forward: (x, filter) =>
      hasKernel('BnnConv') ? runKernel('BnnConv', { x, filter }, attributes) : plain.forward(x, filter),
    inputGradient: (dy, filter, inputShape) =>
      hasKernel('BnnConvInputGrad')
        ? runKernel('BnnConvInputGrad', { dy, filter }, { ...attributes, inputShape })
        : plain.inputGradient(dy, filter, inputShape),
    filterGradient: (x, dy, filterShape) =>
      hasKernel('BnnConvFilterGrad')
        ? runKernel('BnnConvFilterGrad', { x, dy }, { ...attributes, filterShape })
        : plain.filterGradient(x, dy, filterShape),
  };
}

function composition(window: Window, groups: number, perGroup: number): Convolution {
  if (groups === 1) return denseConvolution(window);
  return perGroup === 1 ? depthwiseConvolution(window) : groupedConvolution(window, groups);
}

/** Every output channel reads every input channel. */
function denseConvolution(window: Window): Convolution {
  const attributes = conv2dAttributes(window);
  const [dh, dw] = window.dilations;
  const spread = (filter: tf.Tensor) => insertZeros(filter, 0, [dh, dw]);
  return {
    forward: (x, filter) =>
      tf.tidy(() => runKernel('Conv2D', { x: padBefore(x, window), filter: spread(filter) }, attributes)),
    inputGradient: (dy, filter, shape) =>
      tf.tidy(() => {
        const inputShape = shape.map(
          (size, i) => size + (window.before?.[i]?.[0] ?? 0) + (window.before?.[i]?.[1] ?? 0),
        );
        const inputs = { dy, filter: spread(filter) };
        return unpadGradient(runKernel('Conv2DBackpropInput', inputs, { ...attributes, inputShape }), window, shape);
      }),
    filterGradient: (x, dy, shape) =>
      tf.tidy(() => {
        const [kh = 1, kw = 1, ...channels] = shape;
        const filterShape = [(kh - 1) * dh + 1, (kw - 1) * dw + 1, ...channels];
        const inputs = { x: padBefore(x, window), dy };
        const wide = runKernel('Conv2DBackpropFilter', inputs, { ...attributes, filterShape });
        return dh === 1 && dw === 1 ? wide : tf.stridedSlice(wide, [0, 0, 0, 0], filterShape, [dh, dw, 1, 1]);
      }),
  };
}

/** `group` convolutions side by side, each of its own channels. */
function groupedConvolution(window: Window, group: number): Convolution {
  const dense = denseConvolution(window);
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
function depthwiseConvolution(window: Window): Convolution {
  const { strides, dilations, pads } = window;
  return {
    forward: (x, filter) =>
      tf.tidy(() => {
        const padded = tf.pad(repeated(x, filter), [[0, 0], [...pads[0]], [...pads[1]], [0, 0]]);
        return sumOfTaps(padded, filter, strides, dilations);
      }),
    // The same sum over dy, with zeros between its pixels where there is a stride, and the window turned around.
    inputGradient: (dy, filter, [n = 0, h = 0, w = 0, channels = 0]) =>
      tf.tidy(() => {
        const spread = insertZeros(dy, 1, strides);
        const margins = [0, 1].map((i): [number, number] => {
          const reach = ((filter.shape[i] ?? 1) - 1) * (dilations[i] ?? 1);
          const size = i === 0 ? h : w;
          const before = reach - (pads[i]?.[0] ?? 0);
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
        const padded = tf.pad(repeated(x, { shape }), [[0, 0], [...pads[0]], [...pads[1]], [0, 0]]);
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
