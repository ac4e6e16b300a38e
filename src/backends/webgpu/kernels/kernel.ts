/** How kernels are put on the `webgpu` backend. */

import * as tf from '@tensorflow/tfjs-core';
import type { BackendKernel, KernelName, KernelTable } from '../../../kernels/contract.ts';
import type { WebgpuBackend } from '../webgpu-backend.ts';

export const WEBGPU = 'webgpu';

export type Inputs = Readonly<Record<string, tf.TensorInfo | undefined>>;
export type Attributes = Readonly<Record<string, unknown>>;
export type WebgpuKernel = (
  backend: WebgpuBackend,
  inputs: Inputs,
  attrs: Attributes,
) => tf.TensorInfo | tf.TensorInfo[] | undefined;

/** A kernel of the contract. */
export type Own<N extends KernelName> = BackendKernel<N, WebgpuBackend>;
export type OwnKernels = KernelTable<WebgpuBackend>;

/** Replaces a kernel of tfjs. Where it returns undefined that one runs instead. */
export function replaceKernel(kernelName: string, kernel: WebgpuKernel): void {
  const inherited = tf.getKernel(kernelName, WEBGPU);
  if (inherited === undefined) throw new Error(`internal: tfjs-backend-webgpu has no kernel ${kernelName}`);
  tf.unregisterKernel(kernelName, WEBGPU);
  tf.registerKernel({
    kernelName,
    backendName: WEBGPU,
    kernelFunc: (call) =>
      kernel(call.backend as WebgpuBackend, call.inputs, (call.attrs ?? {}) as Attributes) ??
      inherited.kernelFunc(call),
  });
}

export function required(inputs: Inputs, name: string): tf.TensorInfo {
  const input = inputs[name];
  if (input === undefined) throw new Error(`internal: the input "${name}" is missing`);
  return input;
}

export function sizeOf(t: tf.TensorInfo): number {
  return tf.util.sizeFromShape(t.shape);
}

/** A new float32 tensor, contents undefined. */
export function allocate(backend: WebgpuBackend, shape: readonly number[]): tf.TensorInfo {
  return backend.makeTensorInfo([...shape], 'float32');
}

/** A number as a WGSL literal of type f32; infinity as the largest number. */
export function literal(value: number): string {
  if (value === Infinity) return '3.4028234e38f';
  const text = String(Math.fround(value));
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}
