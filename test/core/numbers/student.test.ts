/** Expected values: scipy.stats 1.17.1 (t.cdf, t.ppf, binomtest). */

import { describe, expect, it } from 'vitest';
import {
  detectableBy,
  holm,
  mcnemarP,
  powerOf,
  studentCdf,
  studentQuantile,
  twoSidedP,
} from '../../../src/core/numbers/student.ts';

describe('Student’s t', () => {
  it.each([
    [0.5, 1, 0.6475836176504333],
    [2.776, 4, 0.9749886108400118],
    [4.303, 2, 0.9750037375073928],
    [-1.3, 9, 0.11295318633652467],
    [20.05, 2, 0.9987608483994501],
    [0.01, 30, 0.5039562537134111],
    [6.2, 120, 0.9999999958652263],
    [0, 5, 0.5],
  ])('P(T ≤ %f), ν = %i', (t, nu, expected) => {
    expect(studentCdf(t, nu)).toBeCloseTo(expected, 12);
    expect(twoSidedP(t, nu)).toBeCloseTo(2 * Math.min(expected, 1 - expected), 12);
  });

  it.each([
    [0.975, 1, 12.706204736174694],
    [0.975, 2, 4.302652729749462],
    [0.975, 4, 2.7764451051977934],
    [0.8, 4, 0.9409645772351816],
    [0.9977272727272727, 2, 14.781784024675773],
    [0.6, 17, 0.2573470057512778],
    [0.025, 2, -4.302652729749462],
  ])('quantile %f, ν = %i', (p, nu, expected) => {
    expect(studentQuantile(p, nu) / expected).toBeCloseTo(1, 10);
  });
});

// By scipy: ∫ P(|Z + δ| > c·s) over the density of s = √(χ²/ν), solved for a power of 0.8.
describe('power of a t test', () => {
  it.each([
    [4, 5.436591556004173, 6.864061741398012, 0.03341591600640842],
    [2, 4.302652729749462, 5.6534892661971226, 0.14869157915024708],
    [2, 14.781784024675773, 18.811654101367353, 0.01465145288364534],
    [9, 3.1109348231794756, 4.061302486778145, 0.10730015032476932],
    [1, 12.706204736174694, 16.334008869920993, 0.09736311752026346],
  ])('ν = %i, c = %f', (nu, c, delta, power) => {
    expect(detectableBy(0.8, c, nu)).toBeCloseTo(delta, 6);
    expect(powerOf(1.5, c, nu)).toBeCloseTo(power, 9);
    expect(powerOf(0, c, nu)).toBeCloseTo(twoSidedP(c, nu), 12);
  });
});

it.each([
  [10, 3, 0.09228515625],
  [3, 10, 0.09228515625],
  [5, 5, 1],
  [0, 0, 1],
  [120, 90, 0.045114087864840696],
  [0, 7, 0.015625],
])('McNemar, %i against %i', (b, c, expected) => {
  expect(mcnemarP(b, c)).toBeCloseTo(expected, 12);
});

it('Holm: the smallest times all, and never less than the one before', () => {
  // The example of Holm’s correction: 0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02.
  expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02]);
  expect(holm([0.5, 0.9])).toEqual([1, 1]);
  expect(holm([])).toEqual([]);
});
