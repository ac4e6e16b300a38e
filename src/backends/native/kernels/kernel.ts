/** How kernels are put on the `native` backend. */

import * as tf from '@tensorflow/tfjs-core';
import type { KernelTable } from '../../../kernels/contract.ts';
import type { NativeBackend } from '../backend.ts';

export const NATIVE = 'native';

export type Inputs = Readonly<Record<string, tf.TensorInfo | undefined>>;
export type Attributes = Readonly<Record<string, unknown>>;
export type NativeKernel<Result = tf.TensorInfo | tf.TensorInfo[]> = (
  backend: NativeBackend,
  inputs: Inputs,
  attrs: Attributes,
) => Result | undefined;

/** A kernel of tfjs-backend-cpu on this backend. */
export function inheritedKernel(inherited: tf.KernelConfig): tf.KernelFunc {
  return (call) => {
    const { tap } = call.backend as NativeBackend;
    return tap === null ? inherited.kernelFunc(call) : tap.inherited(inherited, call);
  };
}

/**
 * Replaces an inherited kernel. Where `kernel` returns undefined (another dtype, an unusual case), the kernel of tfjs-backend-cpu
 * runs instead.
 */
export function replaceKernel(kernelName: string, kernel: NativeKernel): void {
  const inherited = tf.getKernel(kernelName, 'cpu');
  if (inherited === undefined) throw new Error(`internal: tfjs-backend-cpu has no kernel ${kernelName}`);
  tf.unregisterKernel(kernelName, NATIVE);
  const runInherited = inheritedKernel(inherited);
  tf.registerKernel({
    kernelName,
    backendName: NATIVE,
    kernelFunc: (call) =>
      kernel(call.backend as NativeBackend, call.inputs, (call.attrs ?? {}) as Attributes) ?? runInherited(call),
  });
}

/** Kernels of our own. They have no fallback and throw on what they cannot do. */
export type OwnKernels = KernelTable<NativeBackend>;

/** A float32 input together with its elements; undefined when missing, empty or of another dtype. */
export interface FloatInput {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export function floatInput(backend: NativeBackend, input: tf.TensorInfo | undefined): FloatInput | undefined {
  if (input === undefined) return undefined;
  const values = backend.floats(input);
  return values === undefined || values.length === 0 ? undefined : { shape: input.shape, values };
}

/** Allocates the result, lets `fill` write it and makes it a tensor. */
export function result(
  backend: NativeBackend,
  shape: readonly number[],
  fill: (values: Float32Array) => void,
): tf.TensorInfo {
  const values = backend.allocate(tf.util.sizeFromShape([...shape]));
  fill(values);
  return backend.store(values, shape);
}
