import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AgreementSheet, argMax, crossEntropy, rankOf, ScoreSheet } from '../../src/inference/classification.ts';

const logits = fc.array(fc.float({ min: -50, max: 50, noNaN: true }), { minLength: 2, maxLength: 12 });

describe('ranks', () => {
  test('the first of equals is the arg-max', () => {
    expect(argMax([1, 3, 3, 2], 0, 4)).toBe(1);
    expect(rankOf([1, 3, 3, 2], 0, 4, 1)).toBe(0);
    expect(rankOf([1, 3, 3, 2], 0, 4, 2)).toBe(1);
    expect(rankOf([1, 3, 3, 2], 0, 4, 0)).toBe(3);
  });
  test('agree with a stable sort', () =>
    fc.assert(
      fc.property(logits, (row) => {
        const order = row.map((_, i) => i).sort((a, b) => row[b]! - row[a]! || a - b);
        return (
          argMax(row, 0, row.length) === order[0] &&
          row.every((_, label) => rankOf(row, 0, row.length, label) === order.indexOf(label))
        );
      }),
    ));
  test('what is no number comes last, and is no answer', () => {
    const nan = Number.NaN;
    expect(argMax([nan, -2, nan, -1], 0, 4)).toBe(3);
    expect([0, 1, 3].map((label) => rankOf([nan, -2, nan, -1], 0, 4, label))).toEqual([Infinity, 1, 0]);
    const sheet = new ScoreSheet(['a', 'b', 'c']);
    sheet.add(new Float32Array(9).fill(nan), [0, 1, 2]);
    sheet.add([nan, 1, 0], [1]);
    expect(sheet.scores).toMatchObject({ images: 4, top1: 1 / 4, top5: 1 / 4, loss: nan });
    const agreement = new AgreementSheet(2);
    agreement.add([nan, nan, nan, nan, 0, 1], [nan, nan, 1, 0, 0, 1]);
    expect(agreement.agreement).toBe(1 / 3);
  });
  test('offsets select a row', () => expect(argMax([9, 0, 1, 2], 2, 2)).toBe(1));
});

describe('crossEntropy', () => {
  test('is the negative logarithm of softmax', () =>
    fc.assert(
      fc.property(logits, (row) => {
        const sum = row.reduce((total, x) => total + Math.exp(x), 0);
        const expected = -Math.log(Math.exp(row[0]!) / sum);
        return Math.abs(crossEntropy(row, 0, row.length, 0) - expected) <= 1e-9 * (1 + expected);
      }),
    ));
  test('does not overflow', () => expect(crossEntropy([1000, 0], 0, 2, 1)).toBe(1000));
});

test('ScoreSheet adds up over batches', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  const sheet = new ScoreSheet(names);
  // Right; second; last but one.
  sheet.add([9, 0, 0, 0, 0, 0, 0, 9, 8, 0, 0, 0, 0, 0], [0, 1]);
  sheet.add([6, 5, 4, 3, 2, 1, 0], [5]);
  const { images, top1, top5, classes } = sheet.scores;
  expect({ images, top1, top5 }).toEqual({ images: 3, top1: 1 / 3, top5: 2 / 3 });
  expect(classes[0]).toEqual({ name: 'a', images: 1, top1: 1 });
  expect(classes[1]).toEqual({ name: 'b', images: 1, top1: 0 });
  expect(classes[2]).toEqual({ name: 'c', images: 0, top1: null });
});

test('AgreementSheet counts arg-max and differences, and does not lose a NaN', () => {
  const sheet = new AgreementSheet(2);
  sheet.add([0, 1, 5, 0], [0, 1.5, 0, 5]);
  expect(sheet.agreement).toBe(0.5);
  expect(sheet.maxDifference).toBe(5);
  expect(sheet.countBeyond(0.5)).toBe(1);
  sheet.add([0, Number.NaN], [0, 1]);
  sheet.add([0, 1], [0, 1]);
  expect(sheet.maxDifference).toBeNaN();
  expect(sheet.countBeyond(0.5)).toBe(2);
});
