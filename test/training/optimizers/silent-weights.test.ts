import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { Rng } from '../../../src/core/numbers/rng.ts';
import { SilentWeights } from '../../../src/training/optimizers/silent-weights.ts';
import { createEstimators } from '../../../src/training/program/create-estimators.ts';
import type { ParameterInfo, ParameterStore } from '../../../src/training/program/parameters.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';

beforeAll(() => tf.setBackend('cpu'));

const [FILTERS, SIZE] = [3, 4];
const OPTIONS = { silentScale: 0.04, silentDecay: 0.01, silentMomentum: 0.9, silentThreshold: 0.05 };

/** Binary weights [SIZE][FILTERS] and a bias, whose filters are the columns. */
class Store implements ParameterStore {
  readonly parameters = new Map<string, ParameterInfo>([
    ['w', { name: 'w', role: 'binary-weight', layout: 'plain', shape: [SIZE, FILTERS], outputAxis: 1 }],
    ['b', { name: 'b', role: 'bias', layout: 'plain', shape: [2], outputAxis: 0 }],
  ]);
  #values = new Map([
    ['w', tf.zeros([SIZE, FILTERS]) as tf.Tensor],
    ['b', tf.tensor1d([1, 2])],
  ]);
  parameter(name: string): tf.Tensor {
    return this.#values.get(name)!;
  }
  setParameter(name: string, value: tf.Tensor): void {
    this.#values.set(name, value);
  }
}

/** By the formulas, in float64. */
class Reference {
  rate = new Array<number>(SIZE * FILTERS).fill(0);
  signs: number[];

  constructor(weights: readonly number[]) {
    this.signs = weights.map((w) => (w >= 0 ? 1 : -1));
  }

  apply(weights: readonly number[], gradient: readonly number[]): number[] {
    const { silentScale, silentDecay, silentMomentum: keep, silentThreshold } = OPTIONS;
    const norm = (values: readonly number[], filter: number, least: number): number =>
      Math.max(least, Math.hypot(...values.filter((_, i) => i % FILTERS === filter)));
    const signs = weights.map((w) => (w >= 0 ? 1 : -1));
    this.rate = this.rate.map((rate, i) => keep * rate + (1 - keep) * Number(signs[i] !== this.signs[i]));
    this.signs = signs;
    return gradient.map((g, i) => {
      const ratio = norm(gradient, i % FILTERS, 1e-6) / norm(weights, i % FILTERS, 1e-3);
      const scaled = ratio < silentScale ? (g * silentScale) / ratio : g;
      return this.rate[i]! < silentThreshold ? scaled + silentDecay * weights[i]! : scaled;
    });
  }
}

/** The first filter's gradients are large, the second's small, the third's nothing. */
const draws = (() => {
  const rng = new Rng(6);
  const make = (scale: (i: number) => number) =>
    Array.from({ length: SIZE * FILTERS }, (_, i) => scale(i) * rng.normal());
  return Array.from({ length: 6 }, () => ({
    weights: make(() => 0.3),
    gradient: make((i) => [1, 1e-4, 0][i % FILTERS]!),
  }));
})();

function start() {
  const store = new Store();
  const set = (weights: readonly number[]) => store.setParameter('w', tf.tensor(weights.slice(), [SIZE, FILTERS]));
  set(draws[0]!.weights);
  const silent = new SilentWeights(store, (name) => tf.clone(store.parameter(name)), OPTIONS);
  silent.begin();
  const step = ({ weights, gradient }: (typeof draws)[number]): number[] => {
    set(weights);
    const bias = tf.tensor1d([3, 4]);
    const result = silent.apply(
      new Map<string, tf.Tensor>([
        ['w', tf.tensor(gradient, [SIZE, FILTERS])],
        ['b', bias],
      ]),
    );
    expect(result.get('b')).toBe(bias);
    return Array.from(result.get('w')!.dataSync());
  };
  return { silent, step };
}

describe('silent weights', () => {
  it('are raised and decay by the formulas', () => {
    const { step } = start();
    const reference = new Reference(draws[0]!.weights);
    let [decayed, moving] = [0, 0];
    for (const draw of draws) {
      const expected = reference.apply(draw.weights, draw.gradient);
      for (const [i, value] of step(draw).entries()) expect(value).toBeCloseTo(expected[i]!, 5);
      decayed += reference.rate.filter((rate) => rate < 0.05).length;
      moving += reference.rate.filter((rate) => rate >= 0.05).length;
    }
    expect(decayed).toBeGreaterThan(10);
    expect(moving).toBeGreaterThan(10);
  });

  it('go on where they were saved', async () => {
    const [whole, first, second] = [start(), start(), start()];
    const expected = draws.map((draw) => whole.step(draw)).slice(3);
    for (const draw of draws.slice(0, 3)) first.step(draw);
    second.silent.restore(await first.silent.save());
    expect(draws.slice(3).map((draw) => second.step(draw))).toEqual(expected);
    expect(() => second.silent.restore(new Map())).toThrow(expect.objectContaining({ code: 'E_FORMAT' }));
  });

  it('leave no tensors behind', () => {
    const { silent, step } = start();
    const before = tf.memory().numTensors;
    tf.tidy(() => void step(draws[1]!));
    silent.dispose();
    // Weights that the step replaced are the store's.
    expect(tf.memory().numTensors).toBeLessThanOrEqual(before);
  });

  it('Bop has no latent weights', () => {
    const recipe = parseRecipe([{ optimizer: 'bop', estimator: 'ste', silentScale: 0.04 }]);
    expect(() => createEstimators(recipe)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});
