import { describe, expect, it } from 'vitest';
import { Rng } from '../../../src/core/numbers/rng.ts';
import { GAUSSIAN_ENTROPY, spacingEntropy } from '../../../src/training/measures/spacing-entropy.ts';

it('is Vasicek’s estimate of scipy.stats.differential_entropy 1.17.1 (window 3), less its expectation for a uniform variable', () => {
  const sample = [0.5, -1.25, 3.75, 2.5, -0.125, 7, 1.5, -4.5, 0.875, 9.25, -2.75, 5.5];
  // 2.4608793562028133 of scipy, and 0.36561905320632854 less by scipy.special.digamma.
  expect(spacingEntropy(sample)!.entropy).toBeCloseTo(2.8264984094091017, 12);
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
    ['Gaussian of deviation 1/1000', GAUSSIAN_ENTROPY - Math.log(1000), (rng) => rng.normal() / 1000],
    ['uniform on [0, 1)', 0, (rng) => rng.uniform()],
    ['Laplace', 1 + Math.log(2), (rng) => exponential(rng) * (rng.uniform() < 0.5 ? -1 : 1)],
    ['two Gaussians', entropyOf(twoGaussians), (rng) => rng.normal() + (rng.uniform() < 0.5 ? -2 : 2)],
  ])('%s', (_, expected, draw) => {
    const rng = new Rng(11);
    // As float32, like the values of a network.
    const sample = Float32Array.from({ length: 1024 }, () => draw(rng));
    expect(Math.abs(spacingEntropy(sample)!.entropy - expected)).toBeLessThan(0.08);
  });

  it('the gap to a Gaussian: none for one, ½·log(πe/6) for a uniform variable', () => {
    const rng = new Rng(2);
    const gap = (draw: () => number) => spacingEntropy(Float64Array.from({ length: 2000 }, draw))!.gap;
    expect(Math.abs(gap(() => 3 * rng.normal() - 7))).toBeLessThan(0.04);
    expect(gap(() => 5 * rng.uniform())).toBeCloseTo(0.5 * Math.log((Math.PI * Math.E) / 6), 1.5);
  });
});

describe('no entropy', () => {
  const rng = new Rng(5);
  const normals = Float64Array.from({ length: 1024 }, () => rng.normal());
  it.each<[string, ArrayLike<number>]>([
    ['a constant', new Float64Array(512).fill(3)],
    ['a lattice: sums of 144 signs', normals.map((x) => 2 * Math.round(6 * x))],
    ['a ReLU: an atom at 0', normals.map((x) => Math.max(0, x))],
    ['a rare atom', normals.map((x, i) => (i % 100 === 0 ? 0.25 : x))],
    ['not finite', normals.map((x, i) => (i === 7 ? Number.NaN : x))],
    ['infinite', normals.map((x, i) => (i === 7 ? Infinity : x))],
    ['too few', [1, 2, 3]],
  ])('of %s', (_, sample) => {
    expect(spacingEntropy(sample)).toBeNull();
  });
});
