import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { packSigns } from '../../src/core/bits.ts';
import { Rng } from '../../src/core/rng.ts';
import { createReste } from '../../src/estimators/reste.ts';
import {
  binaryEntropy,
  countFlips,
  estimatingError,
  magnitudeStatistics,
  signEntropies,
  summarizeLayers,
} from '../../src/training/indicators.ts';

const golden = JSON.parse(readFileSync(new URL('../golden/indicators.json', import.meta.url), 'utf8'));
const weights = golden.layers_w as number[][];
const gradients = golden.layers_g as number[][];

it.each(golden.estimating_error as { o: number; estimating_error_sum_of_layer_L2: number }[])(
  'the estimating error at o = $o is the reference',
  ({ o, estimating_error_sum_of_layer_L2: expected }) => {
    const { surrogate } = createReste(o);
    const sum = weights.reduce((total, layer) => total + estimatingError(layer, surrogate), 0);
    expect(sum).toBeCloseTo(expected, 12);
  },
);

it('gradient stability is the reference', () => {
  const sum = gradients.reduce((total, layer) => total + magnitudeStatistics(layer).variance, 0);
  expect(sum).toBeCloseTo(golden.gradient_instability_sum_var_abs, 16);
});

it('the scale-free companions do not change with the scale, the paper’s do', () => {
  const g = gradients[0]!;
  const variation = (values: readonly number[]) => {
    const { mean, variance } = magnitudeStatistics(values);
    return Math.sqrt(variance) / mean;
  };
  expect(variation(g.map((value) => 7 * value))).toBeCloseTo(variation(g), 12);
  expect(magnitudeStatistics(g.map((value) => 7 * value)).variance).toBeCloseTo(
    49 * magnitudeStatistics(g).variance,
    12,
  );
});

it('flips are counted as a loop over the signs counts them', () => {
  const rng = new Rng(1);
  const before = Array.from({ length: 77 }, () => rng.normal());
  const after = before.map((w) => (rng.uniform() < 0.3 ? -w : w));
  const expected = before.filter((w, i) => w >= 0 !== after[i]! >= 0).length;
  expect(countFlips(packSigns(before, 77), packSigns(after, 77))).toBe(expected);
});

it('entropy of signs per channel: always, never, half, a quarter', () => {
  const z = [1, -1, 1, 1, 2, -2, -1, -3, 0, -1, 1, -1, 5, -1, -1, -1];
  expect(Array.from(signEntropies(z, 4))).toEqual([0, 0, 1, binaryEntropy(0.25)]);
  expect(binaryEntropy(0.25)).toBeCloseTo(2 - 0.75 * Math.log2(3), 14);
});

it('totals: sums of the paper’s indicators, weighted means of the others', () => {
  const layer = (name: string, n: number, error: number, flips: number, bits: number | null) => ({
    layer: name,
    weights: n,
    estimatingError: error,
    gradientVariance: error / 10,
    errorPerWeight: error / Math.sqrt(n),
    gradientVariation: n,
    flipRatio: flips / n,
    activations:
      bits === null
        ? null
        : { channels: 4, signEntropy: bits, deadChannels: 1, preSignEntropy: null, preSignGap: null },
  });
  const total = summarizeLayers([layer('a', 10, 3, 1, 0.5), layer('b', 30, 4, 3, 0.7), layer('c', 60, 0, 6, null)]);
  expect(total).toMatchObject({ estimatingError: 7, errorPerWeight: 0.5, deadChannels: 2, preSignGap: null });
  expect(total.gradientVariance).toBeCloseTo(0.7, 14);
  expect(total.flipRatio).toBeCloseTo(0.1, 14);
  expect(total.signEntropy).toBeCloseTo(0.6, 14);
  expect(total.gradientVariation).toBeCloseTo(100 / 3, 12);
});
