/** What is binarized of a weight where the graph computes something of it first, such as its distance from the mean of its filter. */

import * as tf from '@tensorflow/tfjs-core';
import { createSte } from '../../estimators/ste.ts';
import type { Graph, Value } from '../../graph/graph.ts';
import type { Step } from '../steps/step.ts';
import { latentOf } from './parameters.ts';
import type { Plan } from './plan-steps.ts';
import { forward, type Tensors } from './run-plan.ts';
import { runAtOnce } from './turns.ts';

export interface DerivedWeight {
  /** The parameter. */
  readonly latent: Value;
  /** What its sign is taken of. */
  readonly value: Value;
}

/** Of all weights that are not binarized as they are. */
export function derivedWeights(graph: Graph): DerivedWeight[] {
  return [...graph.nodes()].flatMap((node) => {
    if (!node.is('Sign', 'bnn')) return [];
    const value = node.requiredInput(0);
    const latent = latentOf(value);
    return latent === null || latent === value ? [] : [{ latent, value }];
  });
}

/** The steps that compute a value of parameters alone. */
export function stepsTo(value: Value, steps: readonly Step[]): Step[] {
  const wanted = new Set<Value>([value]);
  // Backwards, so that each is asked for before it is met.
  return steps
    .toReversed()
    .filter(({ output, inputs }) => {
      if (!wanted.has(output)) return false;
      for (const input of inputs) wanted.add(input);
      return true;
    })
    .toReversed();
}

const ESTIMATOR = createSte(Infinity);
const RUN = {
  training: false,
  weightEstimator: ESTIMATOR,
  activationEstimator: ESTIMATOR,
  setBuffer: (): never => {
    throw new Error('internal: a weight moved a statistic');
  },
};

/** The result of a plan without an input. */
export function computeWeight(plan: Plan, owned: Readonly<Tensors>): tf.Tensor {
  return tf.tidy(() => runAtOnce(forward(plan, owned, tf.scalar(0), RUN, null)));
}
