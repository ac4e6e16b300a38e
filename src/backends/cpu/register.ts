/**
 * The `cpu` backend of tfjs with faster gradients of convolutions. Its own go through bounds-checked accessors for every element,
 * which makes training on a machine without a C++ compiler hopeless; these are the same sums as plain loops over typed arrays.
 */

import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';

type Pad = 'valid' | 'same' | tf.backend_util.ExplicitPadding;

interface GradientAttributes {
  readonly strides: [number, number] | number;
  readonly pad: Pad;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
  readonly inputShape: [number, number, number, number];
  readonly filterShape: [number, number, number, number];
  readonly dilations?: [number, number] | number;
}

interface Dense {
  readonly shape: number[];
  readonly values: Float32Array;
}

type Shape4 = [number, number, number, number];

/**
 * Calls `visit` for every pair of an input pixel and an output pixel that one tap of the filter connects, with the offsets of
 * their first channels (x and dy are NHWC, the filter HWIO).
 */
function forEachTap(
  inputShape: Shape4,
  filterShape: Shape4,
  { strides, pad, dimRoundingMode, dilations = 1 }: GradientAttributes,
  visit: (xOffset: number, dyOffset: number, filterOffset: number) => void,
): void {
  const info = tf.backend_util.computeConv2DInfo(inputShape, filterShape, strides, dilations, pad, dimRoundingMode);
  const { inHeight, inWidth, outHeight, outWidth, filterHeight, filterWidth, inChannels, outChannels } = info;
  const { top, left } = info.padInfo;
  for (let n = 0; n < info.batchSize; n++) {
    for (let p = 0; p < outHeight; p++) {
      for (let r = 0; r < filterHeight; r++) {
        const y = p * info.strideHeight + r * info.dilationHeight - top;
        if (y < 0 || y >= inHeight) continue;
        for (let q = 0; q < outWidth; q++) {
          const dyOffset = ((n * outHeight + p) * outWidth + q) * outChannels;
          for (let s = 0; s < filterWidth; s++) {
            const x = q * info.strideWidth + s * info.dilationWidth - left;
            if (x < 0 || x >= inWidth) continue;
            const filterOffset = (r * filterWidth + s) * inChannels * outChannels;
            visit(((n * inHeight + y) * inWidth + x) * inChannels, dyOffset, filterOffset);
          }
        }
      }
    }
  }
}

function inputGradient(dy: Dense, filter: Dense, attributes: GradientAttributes): Float32Array {
  const [, , inChannels = 0, outChannels = 0] = filter.shape;
  const dx = new Float32Array(attributes.inputShape.reduce((a, b) => a * b, 1));
  const [g, w] = [dy.values, filter.values];
  forEachTap(attributes.inputShape, filter.shape as Shape4, attributes, (xAt, dyAt, filterAt) => {
    for (let i = 0; i < inChannels; i++) {
      const row = filterAt + i * outChannels;
      let sum = 0;
      for (let o = 0; o < outChannels; o++) sum += (g[dyAt + o] as number) * (w[row + o] as number);
      dx[xAt + i] = (dx[xAt + i] as number) + sum;
    }
  });
  return dx;
}

function filterGradient(x: Dense, dy: Dense, attributes: GradientAttributes): Float32Array {
  const [, , inChannels = 0, outChannels = 0] = attributes.filterShape;
  const dw = new Float32Array(attributes.filterShape.reduce((a, b) => a * b, 1));
  const [v, g] = [x.values, dy.values];
  forEachTap(x.shape as Shape4, attributes.filterShape, attributes, (xAt, dyAt, filterAt) => {
    for (let i = 0; i < inChannels; i++) {
      const value = v[xAt + i] as number;
      const row = filterAt + i * outChannels;
      for (let o = 0; o < outChannels; o++) dw[row + o] = (dw[row + o] as number) + value * (g[dyAt + o] as number);
    }
  });
  return dw;
}

type KernelFunction = NonNullable<ReturnType<typeof tf.getKernel>>['kernelFunc'];
interface CpuBackend {
  readonly data: { get(id: object): { readonly values: Float32Array } };
  makeTensorInfo(shape: number[], dtype: 'float32', values: Float32Array): tf.TensorInfo;
}

function replaceKernel(
  kernelName: string,
  compute: (inputs: Record<string, Dense>, a: GradientAttributes) => [number[], Float32Array],
): void {
  const kernelFunc: KernelFunction = ({ inputs, backend, attrs }) => {
    const cpu = backend as unknown as CpuBackend;
    const dense = Object.fromEntries(
      Object.entries(inputs).map(([name, info]) => {
        const { dataId, shape } = info as tf.TensorInfo;
        return [name, { shape, values: cpu.data.get(dataId).values }];
      }),
    );
    const [shape, values] = compute(dense, attrs as unknown as GradientAttributes);
    return cpu.makeTensorInfo(shape, 'float32', values);
  };
  tf.unregisterKernel(kernelName, 'cpu');
  tf.registerKernel({ kernelName, backendName: 'cpu', kernelFunc });
}

let registered = false;

/** Replaces the two kernels of the `cpu` backend, once, and keeps it quiet. */
export function registerCpuBackend(): void {
  if (registered) return;
  registered = true;
  // It would print an advertisement for tfjs-node on first use.
  (tf.findBackend('cpu') as unknown as { firstUse: boolean }).firstUse = false;
  replaceKernel('Conv2DBackpropInput', ({ dy, filter }, attributes) => {
    if (dy === undefined || filter === undefined) throw new Error('internal: Conv2DBackpropInput needs dy and filter');
    return [attributes.inputShape, inputGradient(dy, filter, attributes)];
  });
  replaceKernel('Conv2DBackpropFilter', ({ x, dy }, attributes) => {
    if (x === undefined || dy === undefined) throw new Error('internal: Conv2DBackpropFilter needs x and dy');
    return [attributes.filterShape, filterGradient(x, dy, attributes)];
  });
}
