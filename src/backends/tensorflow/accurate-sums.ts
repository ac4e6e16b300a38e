/**
 * Sums over leading dimensions in two stages.
 *
 * TensorFlow's CPU kernels add the rows of a [rows, C] tensor one after the other in float32. Over the 131072 rows of a batch of
 * 128 activations of 32×32 the result is off by 1e-4 (measured with TensorFlow 2.21), which in the statistics of a batch
 * normalization is enough to flip signs in a binary network. Two stages of about √rows additions each keep it near 1e-7.
 */

import * as tf from '@tensorflow/tfjs-core';

const BACKEND = 'tensorflow';
/** Up to so many rows one stage is accurate enough. */
const DIRECT_ROWS = 1024;

/** The largest divisor of n that is at most √n. */
export function middleDivisor(n: number): number {
  for (let d = Math.floor(Math.sqrt(n)); d > 1; d--) if (n % d === 0) return d;
  return 1;
}

/** How many leading dimensions are reduced, when it is those and not all; else 0. */
function leadingDimensions(axis: unknown, rank: number): number {
  const axes = typeof axis === 'number' ? [axis] : Array.isArray(axis) ? axis.map(Number) : [];
  const sorted = axes.map((a) => (a + rank) % rank).sort((a, b) => a - b);
  return sorted.length < rank && sorted.every((a, i) => a === i) ? sorted.length : 0;
}

function replace(kernelName: 'Sum' | 'Mean'): void {
  const inherited = tf.getKernel(kernelName, BACKEND);
  if (inherited === undefined) throw new Error(`internal: tfjs-node has no kernel ${kernelName}`);
  tf.unregisterKernel(kernelName, BACKEND);
  tf.registerKernel({
    kernelName,
    backendName: BACKEND,
    kernelFunc: (call): tf.TensorInfo | tf.TensorInfo[] => {
      const x = call.inputs['x'] as tf.Tensor;
      const { axis, keepDims } = (call.attrs ?? {}) as { axis?: unknown; keepDims?: boolean };
      const count = leadingDimensions(axis, x.shape.length);
      const rows = x.shape.slice(0, count).reduce((product, size) => product * size, 1);
      const outer = middleDivisor(rows);
      if (count === 0 || rows <= DIRECT_ROWS || outer === 1 || x.dtype !== 'float32') return inherited.kernelFunc(call);
      return tf.tidy(() => {
        const rest = x.shape.slice(count);
        // The inner stage reduces dimension 1, which is not a leading one, so the kernel of TensorFlow itself does it.
        const sum = tf.sum(tf.sum(tf.reshape(x, [outer, rows / outer, ...rest]), 1), 0);
        const value = kernelName === 'Mean' ? tf.div(sum, rows) : sum;
        return keepDims === true ? tf.reshape(value, [...x.shape.slice(0, count).fill(1), ...rest]) : value;
      });
    },
  });
}

/** Replaces the kernels `Sum` and `Mean` of the backend `tensorflow`; once, after it is registered. */
export function registerAccurateSums(): void {
  replace('Sum');
  replace('Mean');
}
