/** Pooling over NHWC activations. */

import type * as tf from '@tensorflow/tfjs-core';
import type { Node } from '../../graph/graph.ts';
import { runKernel } from '../kernels.ts';
import { sizeOf, unsupported } from './static-shape.ts';
import type { BuildContext, Step, StepBuilder } from './step.ts';
import { padBefore, unpadGradient, type Window, windowOf } from './window.ts';

function pooling(node: Node, context: BuildContext, window: Window, kind: 'MaxPool' | 'AvgPool'): Step {
  if (window.dilations.some((d) => d !== 1)) unsupported(node, 'dilations other than 1 are not implemented');
  const x = node.requiredInput(0);
  const attributes = {
    filterSize: window.kernel,
    strides: window.strides,
    pad: window.pad,
    dimRoundingMode: undefined,
  };
  // Padding never wins a maximum: the lowest float32 stands in for −∞, which would make 0 · ∞ in some kernels.
  const padValue = kind === 'MaxPool' ? -3.4028234663852886e38 : 0;
  return {
    inputs: [x],
    output: node.output,
    layout: context.layout(x),
    readsInputs: [0],
    readsOutput: kind === 'MaxPool',
    forward([x]) {
      const padded = padBefore(x as tf.Tensor, window, padValue);
      const output = runKernel(kind, { x: padded }, attributes);
      padded.dispose();
      return { output };
    },
    backward({ dy, inputs: [x], output }) {
      const padded = padBefore(x as tf.Tensor, window, padValue);
      const inputs: Record<string, tf.Tensor> =
        kind === 'MaxPool' ? { dy, input: padded, output } : { dy, input: padded };
      const dx = runKernel(`${kind}Grad`, inputs, attributes);
      padded.dispose();
      return [unpadGradient(dx, window, (x as tf.Tensor).shape)];
    },
  };
}

function kernelOf(node: Node): [number, number] {
  const [height, width] = node.ints('kernel_shape', []);
  if (height === undefined || width === undefined) unsupported(node, 'it has no two-dimensional kernel_shape');
  return [height, width];
}

export const maxPool: StepBuilder = (node, context) => {
  const window = windowOf(node, node.requiredInput(0), kernelOf(node), context.explicitPadding);
  return pooling(node, context, window, 'MaxPool');
};

export const averagePool: StepBuilder = (node, context) => {
  const window = windowOf(node, node.requiredInput(0), kernelOf(node), context.explicitPadding);
  if (window.pad !== 'valid' || window.before !== null) unsupported(node, 'padding is not implemented');
  return pooling(node, context, window, 'AvgPool');
};

export const globalAveragePool: StepBuilder = (node, context) => {
  const x = node.requiredInput(0);
  const kernel: [number, number] = [sizeOf(x, 2), sizeOf(x, 3)];
  const window: Window = { kernel, strides: kernel, dilations: [1, 1], pad: 'valid', before: null };
  return pooling(node, context, window, 'AvgPool');
};
