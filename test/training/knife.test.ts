import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { estimateEntropy, fitKnife, GAUSSIAN_ENTROPY, type Knife, knifeLogDensity } from '../../src/training/knife.ts';

const { knife: golden } = JSON.parse(
  readFileSync(new URL('../golden/weight-transforms.json', import.meta.url), 'utf8'),
);

it('the log density is the official one', () => {
  const knife: Knife = {
    means: golden.means,
    sharpness: golden.logvar_raw,
    triangles: golden.tri_raw,
    weights: golden.weights_raw,
  };
  const values = (golden.x as number[][]).map((x) => knifeLogDensity(knife, x));
  for (const [i, expected] of (golden.logpdf as number[]).entries()) expect(values[i]).toBeCloseTo(expected, 6);
  const entropy = -values.reduce((a, b) => a + b, 0) / values.length;
  expect(entropy).toBeCloseTo(golden.entropy_estimate_nats, 6);
});

it('a fitted density integrates to 1', () => {
  const rng = new Rng(3);
  const knife = fitKnife(Float64Array.from({ length: 256 }, () => rng.normal()));
  let integral = 0;
  for (let x = -8; x < 8; x += 1 / 256) integral += Math.exp(knifeLogDensity(knife, [x])) / 256;
  expect(integral).toBeCloseTo(1, 6);
});

const gaussian = (x: number) => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
const twoGaussians = (x: number) => 0.5 * gaussian(x - 2) + 0.5 * gaussian(x + 2);

/** −∫ p log p by the rectangle rule, which converges fast for a smooth density. */
function entropyOf(density: (x: number) => number): number {
  let sum = 0;
  for (let x = -12; x < 12; x += 1 / 64) sum -= (density(x) * Math.log(density(x))) / 64;
  return sum;
}

describe('the entropy of a sample is near the known one, in nats', () => {
  const exponential = (rng: Rng) => -Math.log(1 - rng.uniform());
  it.each<[string, number, (rng: Rng) => number]>([
    ['Gaussian', GAUSSIAN_ENTROPY, (rng) => rng.normal()],
    ['Gaussian of deviation 50 around 1000', GAUSSIAN_ENTROPY + Math.log(50), (rng) => 1000 + 50 * rng.normal()],
    ['uniform on [0, 1)', 0, (rng) => rng.uniform()],
    ['Laplace', 1 + Math.log(2), (rng) => exponential(rng) * (rng.uniform() < 0.5 ? -1 : 1)],
    ['two Gaussians', entropyOf(twoGaussians), (rng) => rng.normal() + (rng.uniform() < 0.5 ? -2 : 2)],
  ])('%s', (_, expected, draw) => {
    const rng = new Rng(11);
    const sample = Float64Array.from({ length: 2000 }, () => draw(rng));
    expect(Math.abs(estimateEntropy(sample)!.entropy - expected)).toBeLessThan(0.08);
  });
});

it('a constant has no differential entropy', () => {
  expect(estimateEntropy(new Float64Array(512).fill(3))).toBeNull();
});
