import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Rng } from '../../../src/core/numbers/rng.ts';
import { createReste } from '../../../src/estimators/reste.ts';
import {
  binaryEntropy,
  estimatingError,
  magnitudeStatistics,
  SignCounts,
  summarizeLayers,
} from '../../../src/training/measures/indicators.ts';

const golden = JSON.parse(readFileSync(new URL('../../golden/indicators.json', import.meta.url), 'utf8'));
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

describe('signs of each channel', () => {
  const rng = new Rng(1);
  const [channels, labels] = [5, 3];
  const rows = Array.from({ length: 400 }, () => {
    const label = rng.below(labels);
    // Channel 0 tells nothing, 1 is always +1, 2 is the label, the others lean by it.
    return { label, z: [rng.normal(), 0, label === 1 ? 1 : -1, rng.normal() + label, 0.3 * label - rng.uniform()] };
  });
  const counts = new SignCounts(channels);
  for (const { z, label } of rows) counts.add([9, ...z], 1, label);
  const share = (test: (row: (typeof rows)[number]) => boolean) => rows.filter(test).length / rows.length;

  it('entropy and mutual information with the label are those of the joint frequencies', () => {
    const entropies = counts.entropies();
    const information = counts.labelInformation();
    for (let c = 0; c < channels; c++) {
      let [entropy, mutual] = [0, 0];
      for (const side of [true, false]) {
        const p = share(({ z }) => z[c]! >= 0 === side);
        if (p > 0) entropy -= p * Math.log2(p);
        for (let y = 0; y < labels; y++) {
          const joint = share(({ z, label }) => z[c]! >= 0 === side && label === y);
          if (joint > 0) mutual += joint * Math.log2(joint / (p * share(({ label }) => label === y)));
        }
      }
      expect(entropies[c]).toBeCloseTo(entropy, 12);
      expect(information[c]).toBeCloseTo(mutual, 12);
    }
    expect([entropies[1], information[1]]).toEqual([0, 0]);
    expect(information[2]).toBeCloseTo(entropies[2]!, 12);
  });

  it('always, never, half, a quarter', () => {
    const z = [1, -1, 1, 1, 2, -2, -1, -3, 0, -1, 1, -1, 5, -1, -1, -1];
    const some = new SignCounts(4);
    for (let row = 0; row < 4; row++) some.add(z, 4 * row, 0);
    expect(some.entropies()).toEqual([0, 0, 1, binaryEntropy(0.25)]);
    expect(binaryEntropy(0.25)).toBeCloseTo(2 - 0.75 * Math.log2(3), 14);
  });
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
    stepFlipRate: (2 * flips) / n,
    oscillation: name === 'b' ? 0.5 : 0,
    neverFlipped: name === 'c' ? 1 : 0,
    firstSignCorrelation: 0.5,
    activations:
      bits === null
        ? null
        : {
            ...{ channels: 4, signEntropy: bits, deadChannels: 1, labelInformation: bits / 2 },
            ...{ continuousChannels: 0, preSignEntropy: null, preSignGap: null },
          },
  });
  const total = summarizeLayers([layer('a', 10, 3, 1, 0.5), layer('b', 30, 4, 3, 0.7), layer('c', 60, 0, 6, null)]);
  expect(total).toMatchObject({ estimatingError: 7, errorPerWeight: 0.5, deadChannels: 2, preSignGap: null });
  expect(total.gradientVariance).toBeCloseTo(0.7, 14);
  expect(total.flipRatio).toBeCloseTo(0.1, 14);
  expect(total.signEntropy).toBeCloseTo(0.6, 14);
  expect(total.labelInformation).toBeCloseTo(0.3, 14);
  expect(total.stepFlipRate).toBeCloseTo(0.2, 14);
  // 3 of 10 changes are those of b.
  expect(total.oscillation).toBeCloseTo(0.15, 14);
  expect(total.neverFlipped).toBeCloseTo(0.6, 14);
  expect(total.gradientVariation).toBeCloseTo(100 / 3, 12);
});
