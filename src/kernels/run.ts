/** Runs kernels of the contract, and puts those of a backend into tfjs. */

import * as tf from '@tensorflow/tfjs-core';
import {
  type AttributesOf,
  type InputsOf,
  KERNELS,
  type KernelName,
  type KernelSet,
  type ResultsOf,
} from './contract.ts';

type NamedTensors = Parameters<ReturnType<typeof tf.engine>['runKernel']>[1];
type NamedAttributes = Parameters<ReturnType<typeof tf.engine>['runKernel']>[2];

/** Whether the current backend has a kernel; where it has none, `run` runs the composition. */
export function hasKernel(name: KernelName): boolean {
  return tf.getKernel(name, tf.getBackend()) !== undefined;
}

/** The kernel of the current backend, or the composition that stands in for it. */
export function run<N extends KernelName>(
  name: N,
  inputs: InputsOf<N>,
  ...[attributes]: AttributesOf<N>
): ResultsOf<N> {
  if (hasKernel(name)) {
    return tf.engine().runKernel(name, inputs as NamedTensors, attributes as NamedAttributes) as ResultsOf<N>;
  }
  const composition = KERNELS[name] as (inputs: InputsOf<N>, attributes: unknown) => ResultsOf<N>;
  return composition(inputs, attributes);
}

/** Registers the kernels of a backend, once. */
export function registerKernels<Backend>(backendName: string, { table }: KernelSet<Backend>): void {
  for (const [kernelName, kernel] of Object.entries(table)) {
    const call = kernel as (backend: unknown, inputs: unknown, attributes: unknown) => tf.TensorInfo | tf.TensorInfo[];
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ backend, inputs, attrs }) => call(backend, inputs, attrs ?? {}),
    });
  }
}
