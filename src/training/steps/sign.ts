/** bnn.Sign: the forward pass is exact, the backward pass is the estimator's. */

import * as tf from '@tensorflow/tfjs-core';
import type { Estimator } from '../../estimators/estimator.ts';
import type { Node } from '../../graph/graph.ts';
import { run as runKernel } from '../../kernels/run.ts';
import { latentOf, layerOf, weightSource } from '../program/parameters.ts';
import { signGradient } from '../program/sign-gradients.ts';
import type { Run, StepBuilder } from './step.ts';

export const signStep: StepBuilder = (node, context) => {
  const x = node.requiredInput(0);
  const latent = latentOf(x);
  const isWeight = latent !== null;
  const layers = isWeight ? [] : layersBehind(node);
  const layer = latent !== null ? layerOf(latent.name) : (layers[0] ?? node.output.name);
  const relaxes = (run: Run): boolean => isWeight && relaxesWeights(run);
  return {
    inputs: [x],
    output: node.output,
    layout: context.layout(x),
    readsInputs: [0],
    readsOutput: false,
    forward: ([x], run) => {
      if (run.observe !== undefined) for (const layer of layers) run.observe(layer, x as tf.Tensor);
      return { output: relaxes(run) ? tf.clone(x as tf.Tensor) : runKernel('BnnSign', { x: x as tf.Tensor }) };
    },
    backward: ({ dy, inputs: [x], run }) => [
      relaxes(run)
        ? tf.clone(dy)
        : signGradient(x as tf.Tensor, dy, ofLayer(isWeight ? run.weightEstimator : run.activationEstimator, layer)),
    ],
  };
};

/** The estimator of one layer, where each has its own. */
export function ofLayer(estimator: Estimator, layer: string): Estimator {
  return estimator.forLayer?.(layer) ?? estimator;
}

/** Whether weights pass without their sign. */
export function relaxesWeights({ training, relaxWeights }: Run): boolean {
  return training && relaxWeights === true;
}

/** The layers that read the signs, called by their weights without the ending `.weight`. */
export function layersBehind(node: Node): string[] {
  return node.output.uses.flatMap(({ node: layer }) => {
    const weight = layer.input(1);
    const source = weight === null ? null : weightSource(weight);
    return source === null ? [] : [layerOf(source.constant.name)];
  });
}
