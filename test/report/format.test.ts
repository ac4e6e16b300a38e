import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatBytes,
  formatClock,
  formatCount,
  formatExponent,
  formatPercent,
  formatSeconds,
  threeDigits,
} from '../../src/report/format.ts';

describe('formatCount', () => {
  test.each([
    [0, '0'],
    [999, '999'],
    [1000, '1,000'],
    [1234567, '1,234,567'],
    [null, '-'],
  ])('%s -> %s', (count, text) => expect(formatCount(count)).toBe(text));
  test('agrees with Intl', () =>
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 50 }), (n) => formatCount(n) === new Intl.NumberFormat('en-US').format(n)),
    ));
});

describe('formatBytes', () => {
  test.each([
    [0, '0 bytes'],
    [999, '999 bytes'],
    [1000, '1.00 kB'],
    [72_300, '72.3 kB'],
    [999_499, '999 kB'],
    [999_500, '1.00 MB'],
    [4_210_000, '4.21 MB'],
    [46_800_000_000, '46.8 GB'],
    [5e15, '5,000 TB'],
  ])('%s -> %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});

describe('threeDigits', () => {
  test.each([
    [0, '0.00'],
    [9.994, '9.99'],
    [9.996, '10.0'],
    [99.94, '99.9'],
    [99.96, '100'],
    [12345.6, '12,346'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
  ])('%s -> %s', (value, text) => expect(threeDigits(value)).toBe(text));
});

describe('times', () => {
  test.each([
    [0.4242, '0.42 s'],
    [9.996, '10.0 s'],
    [59.94, '59.9 s'],
    [59.96, '1 min 0 s'],
    [1148, '19 min 8 s'],
    [3599.6, '1 h 0 min'],
    [7500, '2 h 5 min'],
    [Number.NaN, '-'],
  ])('%s s -> %s', (seconds, text) => expect(formatSeconds(seconds)).toBe(text));
  test.each([
    [0, '0:00'],
    [42.4, '0:42'],
    [1148, '19:08'],
    [7500, '2:05:00'],
    [Number.POSITIVE_INFINITY, '--:--'],
  ])('clock %s -> %s', (seconds, text) => expect(formatClock(seconds)).toBe(text));
});

test('percentages and learning rates', () => {
  expect(formatPercent(0.98312)).toBe('98.31 %');
  expect(formatPercent(1)).toBe('100.00 %');
  expect(formatPercent(null)).toBe('-');
  expect(formatExponent(0.005)).toBe('5.00e-3');
  expect(formatExponent(0)).toBe('0');
});
