import { expect, it } from 'vitest';
import { Rng } from '../../../src/core/numbers/rng.ts';

it('gives the same numbers for the same seed and labels, and others for others', () => {
  const first = (...labels: [number, ...number[]]) => new Rng(...labels).uint32();
  expect(first(1, 2, 3)).toBe(first(1, 2, 3));
  const seen = new Set([
    first(1),
    first(2),
    first(1, 0),
    first(1, 1),
    first(1, 0, 0),
    first(1, 2, 3),
    first(1, 3, 2),
    first(2 ** 40),
  ]);
  expect(seen.size).toBe(8);
});

it('is uniform: 16 bins of 160,000 numbers pass a chi-square test at 1e-6', () => {
  const rng = new Rng(7);
  const bins = new Array<number>(16).fill(0);
  for (let i = 0; i < 160_000; i++) bins[Math.floor(rng.uniform() * 16)]!++;
  const chiSquare = bins.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
  expect(chiSquare).toBeLessThan(56.5);
});

it('first numbers of neighbouring streams are uncorrelated', () => {
  const x = Array.from({ length: 20_000 }, (_, i) => new Rng(3, i).uniform() - 0.5);
  const lag = x.slice(1).reduce((sum, value, i) => sum + value * x[i]!, 0) / x.length / (1 / 12);
  expect(Math.abs(lag)).toBeLessThan(5 / Math.sqrt(x.length));
});

it('normal numbers have the moments of a standard normal', () => {
  const rng = new Rng(11);
  const x = Array.from({ length: 100_000 }, () => rng.normal());
  const moment = (power: number) => x.reduce((sum, value) => sum + value ** power, 0) / x.length;
  expect(moment(1)).toBeCloseTo(0, 1);
  expect(moment(2)).toBeCloseTo(1, 1);
  expect(moment(4)).toBeGreaterThan(2.8);
  expect(moment(4)).toBeLessThan(3.2);
});

it('permutations contain every index once', () => {
  const order = new Rng(5).permutation(1000);
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  expect([...order]).not.toEqual(Array.from({ length: 1000 }, (_, i) => i));
});

it('below(n) reaches every value and no other', () => {
  const rng = new Rng(9);
  const seen = new Set(Array.from({ length: 500 }, () => rng.below(6)));
  expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5]);
});
