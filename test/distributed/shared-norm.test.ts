/** Batch normalization over parts of a batch, against the kernels over the whole of it. */

import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/kernels/run.ts';
import { sumGradients, sumStatistics } from '../../src/training/steps/shared-norm.ts';
import { normal } from '../backends/compare-kernels.ts';

const CHANNELS = 5;
const ATTRIBUTES = { epsilon: 1e-5, relu: true };

beforeAll(() => tf.setBackend('cpu'));
afterAll(() => tf.setBackend('cpu'));

const draw = (shape: number[], seed: number, shift = 0): tf.Tensor =>
  tf.tensor(
    normal(shape, seed).values.map((v) => v + shift),
    shape,
  );

/** Runs `work` for both parts so that each is given the sums of both. */
function inParts<T>(work: (part: number, sumUp: (values: Float64Array) => void) => T): T[] {
  const own: number[][] = [];
  for (const part of [0, 1]) work(part, (values) => own.push([...values]));
  return [0, 1].map((part) =>
    work(part, (values) => {
      for (const i of values.keys()) values[i] = (own[0]?.[i] ?? 0) + (own[1]?.[i] ?? 0);
    }),
  );
}

const worst = (got: tf.Tensor, want: tf.Tensor): number =>
  tf.div(tf.norm(tf.sub(got, want)), tf.add(tf.norm(want), 1e-12)).dataSync()[0] ?? Number.NaN;

// An uneven rest; a mean that is far from 0.
describe.each([
  ['even parts', 4, 0],
  ['uneven parts', 5, 0],
  ['a mean that is far from 0', 5, 300],
])('%s', (_, firstRows, shift) => {
  const x = draw([8, 3, 3, CHANNELS], 1, shift);
  const dy = draw([8, 3, 3, CHANNELS], 2);
  const scale = tf.scalar(0.4);
  const [gamma, beta] = [draw([CHANNELS], 3), draw([CHANNELS], 4)];
  const running = { mean: draw([CHANNELS], 5, 0.4 * shift), variance: tf.square(draw([CHANNELS], 6)) };
  const partOf = (t: tf.Tensor, part: number): tf.Tensor =>
    tf.slice(t, part === 0 ? 0 : firstRows, part === 0 ? firstRows : 8 - firstRows);

  it('has the statistics and the gradients of the whole', () => {
    const [, mean, variance, runningMean, runningVariance] = run(
      'BnnBatchNormTrain',
      { x, gamma, beta, scale, runningMean: running.mean, runningVariance: running.variance },
      { ...ATTRIBUTES, keep: 0.9 },
    );
    const tolerance = shift === 0 ? 1e-5 : 1e-3;
    for (const found of inParts((part, sumUp) =>
      sumStatistics({ x: partOf(x, part), scale, shift: running.mean, variance: running.variance }, true, sumUp),
    )) {
      expect(worst(found.mean, mean)).toBeLessThan(tolerance);
      expect(worst(found.variance, variance)).toBeLessThan(tolerance);
      expect(worst(found.runningMean(0.9), runningMean)).toBeLessThan(tolerance);
      expect(worst(found.runningVariance(0.9), runningVariance)).toBeLessThan(tolerance);
    }
    const [dx, dgamma, dbeta, dscale] = run('BnnBatchNormGrad', { x, dy, gamma, mean, variance, scale }, ATTRIBUTES);
    const parts = inParts((part, sumUp) =>
      sumGradients(
        { x: partOf(x, part), dy: partOf(dy, part), gamma, mean, variance, scale },
        { ...ATTRIBUTES },
        sumUp,
      ),
    );
    const [first, second] = parts as [(typeof parts)[0], (typeof parts)[0]];
    expect(worst(tf.concat([first[0], second[0]]), dx)).toBeLessThan(tolerance);
    expect(worst(tf.add(first[1], second[1]), dgamma)).toBeLessThan(tolerance);
    expect(worst(tf.add(first[2], second[2]), dbeta)).toBeLessThan(tolerance);
    const sum = tf.add(first[3] ?? Number.NaN, second[3] ?? Number.NaN);
    const error = tf.abs(tf.sub(sum, dscale ?? Number.NaN)).dataSync()[0] ?? Number.NaN;
    // A small difference of large numbers.
    expect(error).toBeLessThan(1e-4 * (1 + shift) * (tf.norm(dx).dataSync()[0] ?? 0));
  });
});
