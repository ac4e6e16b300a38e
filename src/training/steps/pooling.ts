/** Pooling over NHWC activations. */

import * as tf from '@tensorflow/tfjs-core';
import type { Node, Value } from '../../graph/graph.ts';
import { padBefore, unpadGradient } from '../../kernels/padding.ts';
import { runTfjsKernel } from '../../kernels/tfjs-kernel.ts';
import { rankOf, sizeOf, unsupported } from './static-shape.ts';
import type { BuildContext, Step, StepBuilder } from './step.ts';
import { type Window, windowOf } from './window.ts';

/** Padding never wins a maximum: the lowest float32 stands in for −∞, which would make 0 · ∞ in some kernels. */
const LOWEST = -3.4028234663852886e38;

/** @param factor makes f32[OH, OW, 1], what an average is multiplied by; null where that is 1 everywhere. */
function pooling(
  node: Node,
  context: BuildContext,
  window: Window,
  kind: 'MaxPool' | 'AvgPool',
  factor: () => tf.Tensor | null = () => null,
): Step {
  const x = node.requiredInput(0);
  if (window.dilations.some((d) => d !== 1)) unsupported(node, 'dilations other than 1 are not implemented');
  if (node.outputs.slice(1).some(({ uses }) => uses.length > 0)) unsupported(node, 'its indices are read');
  const attributes = {
    filterSize: window.kernel,
    strides: window.strides,
    pad: window.pad,
    dimRoundingMode: undefined,
  };
  const padValue = kind === 'MaxPool' ? LOWEST : 0;
  /** Owned by the caller; disposes its argument. */
  const scaled = (t: tf.Tensor): tf.Tensor => {
    const factors = factor();
    if (factors === null) return t;
    const result = tf.mul(t, factors);
    tf.dispose([t, factors]);
    return result;
  };
  return {
    inputs: [x],
    output: node.output,
    layout: context.layout(x),
    readsInputs: [0],
    readsOutput: kind === 'MaxPool',
    scratch: window.before === null ? 0 : sizeOf(x, 1) * paddedLength(window, x, 0) * paddedLength(window, x, 1),
    forward([x]) {
      const padded = padBefore(x as tf.Tensor, window.before, padValue);
      const output = runTfjsKernel(kind, { x: padded }, attributes);
      padded.dispose();
      return { output: scaled(output) };
    },
    backward({ dy, inputs: [x], output }) {
      const padded = padBefore(x as tf.Tensor, window.before, padValue);
      const g = scaled(tf.clone(dy));
      const inputs: Record<string, tf.Tensor> =
        kind === 'MaxPool' ? { dy: g, input: padded, output } : { dy: g, input: padded };
      const dx = runTfjsKernel(`${kind}Grad`, inputs, attributes);
      tf.dispose([padded, g]);
      return [unpadGradient(dx, window.before, (x as tf.Tensor).shape)];
    },
  };
}

function paddedLength({ pads }: Window, x: Value, axis: 0 | 1): number {
  return sizeOf(x, axis + 2) + pads[axis][0] + pads[axis][1];
}

function kernelOf(node: Node): [number, number] {
  const [height, width, ...more] = node.ints('kernel_shape', []);
  if (height === undefined || width === undefined || more.length > 0) {
    unsupported(node, 'only two-dimensional pooling is implemented');
  }
  const pads = node.ints('pads', []);
  if (pads.some((pad, i) => pad >= (i % 2 === 0 ? height : width))) {
    unsupported(
      node,
      `its pads [${pads.join(', ')}] are as large as its window, ${height} × ${width}; no runtime takes that`,
    );
  }
  return [height, width];
}

export const maxPool: StepBuilder = (node, context) => {
  const window = windowOf(node, node.requiredInput(0), kernelOf(node), context.explicitPadding);
  return pooling(node, context, window, 'MaxPool');
};

/**
 * Padding is applied to the input beforehand, which averages over the whole window, zeros included. Where fewer elements count (those
 * of the input only, or with `count_include_pad` those of the declared padding too, but never what `ceil_mode` adds), the average
 * is multiplied by window / count.
 */
export const averagePool: StepBuilder = (node, context) => {
  const x = node.requiredInput(0);
  const window = windowOf(node, x, kernelOf(node), false);
  if (window.pads.flat().every((amount) => amount === 0)) return pooling(node, context, window, 'AvgPool');
  const before: Window['before'] = [[0, 0], [...window.pads[0]], [...window.pads[1]], [0, 0]];
  // Made when it is used first: by then it is known that there is room for the output.
  let made: { readonly factors: Float32Array | null; readonly shape: number[] } | undefined;
  const factor = (): tf.Tensor | null => {
    made ??= factorsOf(node, window, x);
    return made.factors === null ? null : tf.tensor(made.factors, made.shape);
  };
  return pooling(node, context, { ...window, pad: 'valid', before }, 'AvgPool', factor);
};

/** Window / count for every window; null where all are 1. */
function factorsOf(node: Node, window: Window, x: Value): { factors: Float32Array | null; shape: number[] } {
  const area = window.kernel[0] * window.kernel[1];
  const rows = countsAlong(node, window, 0, sizeOf(x, 2));
  const columns = countsAlong(node, window, 1, sizeOf(x, 3));
  const shape = [rows.length, columns.length, 1];
  const [height, width] = window.kernel;
  if (rows.every((count) => count === height) && columns.every((count) => count === width))
    return { factors: null, shape };
  const factors = new Float32Array(rows.length * columns.length);
  for (const [i, row] of rows.entries()) {
    for (const [j, column] of columns.entries()) factors[i * columns.length + j] = area / (row * column);
  }
  return { factors, shape };
}

/** For every window along one axis, how many of its elements count. */
function countsAlong(node: Node, window: Window, axis: 0 | 1, size: number): Float64Array {
  const [begin, end] = window.pads[axis];
  const [extent, stride] = [window.kernel[axis], window.strides[axis]];
  const includes = node.int('count_include_pad', 0) !== 0;
  const declared = node.string('auto_pad', 'NOTSET') === 'NOTSET' ? (node.ints('pads', [])[axis + 2] ?? 0) : end;
  const [first, last] = includes ? [0, begin + size + declared] : [begin, begin + size];
  const count = Math.floor((begin + size + end - extent) / stride) + 1;
  return new Float64Array(count).map((_, i) => {
    const at = i * stride;
    return Math.min(at + extent, last) - Math.max(at, first);
  });
}

function global(kind: 'MaxPool' | 'AvgPool'): StepBuilder {
  return (node, context) => {
    const x = node.requiredInput(0);
    if (rankOf(x) !== 4)
      unsupported(node, `only two-dimensional pooling is implemented, the input has rank ${rankOf(x)}`);
    const kernel: [number, number] = [sizeOf(x, 2), sizeOf(x, 3)];
    const pads: Window['pads'] = [
      [0, 0],
      [0, 0],
    ];
    const window: Window = { kernel, strides: kernel, dilations: [1, 1], pads, pad: 'valid', before: null };
    return pooling(node, context, window, kind);
  };
}

export const globalAveragePool: StepBuilder = global('AvgPool');
export const globalMaxPool: StepBuilder = global('MaxPool');
