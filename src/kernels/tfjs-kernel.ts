/** Kernels of tfjs's own by name: some, such as the gradients of convolutions, have no operation that calls them with any padding. */

import * as tf from '@tensorflow/tfjs-core';

type NamedTensors = Parameters<ReturnType<typeof tf.engine>['runKernel']>[1];
type Attributes = Parameters<ReturnType<typeof tf.engine>['runKernel']>[2];

/** Runs a kernel of the current backend that has one output. */
export function runTfjsKernel(name: string, inputs: Record<string, tf.Tensor>, attributes: object): tf.Tensor {
  return tf.engine().runKernel(name, inputs as NamedTensors, attributes as Attributes) as tf.Tensor;
}
