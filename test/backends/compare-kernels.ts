/** Runs one kernel on tfjs-backend-cpu and on another backend, and measures how far the results lie apart. */

import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { Rng } from '../../src/core/numbers/rng.ts';
import { relativeError } from '../../src/core/numbers/tolerance.ts';

export interface Values<Numbers = Float32Array> {
  readonly shape: readonly number[];
  readonly values: Numbers;
}

export function normal(shape: readonly number[], seed = 1): Values {
  const rng = new Rng(seed, ...shape);
  const count = shape.reduce((product, size) => product * size, 1);
  return { shape, values: Float32Array.from({ length: count }, () => rng.normal()) };
}

/** The outputs of `body` on a backend, given the inputs as tensors. */
export async function runOn(
  backend: string,
  inputs: Readonly<Record<string, Values<Float32Array | Int32Array>>>,
  body: (tensors: Record<string, tf.Tensor>) => tf.Tensor | tf.Tensor[],
): Promise<Values[]> {
  await tf.setBackend(backend);
  const tensors: Record<string, tf.Tensor> = {};
  for (const [name, { shape, values }] of Object.entries(inputs)) tensors[name] = tf.tensor(values.slice(), [...shape]);
  const outputs = body(tensors);
  const list = Array.isArray(outputs) ? outputs : [outputs];
  const result: Values[] = [];
  for (const t of list) result.push({ shape: t.shape, values: Float32Array.from(await t.data()) });
  tf.dispose([list, tensors]);
  return result;
}

/** The kernel of a name as a body for `runOn`. */
export function kernel(name: string, attrs: object = {}) {
  return (inputs: Record<string, tf.Tensor>) =>
    tf.engine().runKernel(name, inputs, attrs as never) as tf.Tensor | tf.Tensor[];
}

/** The worst relative error (Euclidean norm) of the outputs; Infinity where shapes differ. */
export function worstOf(got: readonly Values[], want: readonly Values[]): number {
  if (got.length !== want.length) return Infinity;
  return Math.max(
    ...want.map(({ shape, values }, i) =>
      got[i]?.shape.join() === shape.join() ? relativeError(got[i].values, values) : Infinity,
    ),
  );
}
