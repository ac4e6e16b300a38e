import { describe, expect, it } from 'vitest';
import { confusedPairs, precisionOf, recallOf } from '../../src/report/confusion.ts';
import { formatConfusion } from '../../src/report/confusion-table.ts';

const THREE = {
  classes: ['cat', 'dog', 'a class without pictures'],
  counts: [
    [8, 2, 0],
    [1, 4, 5],
    [0, 0, 0],
  ],
};

/** Columns of a terminal. */
function widest(text: string): number {
  return Math.max(...text.split('\n').map((line) => [...line].length));
}

it('a matrix that fits is shown as it is', () => {
  expect(formatConfusion(THREE)).toBe(
    [
      'is                          0  1  2   right',
      '--------------------------  -  -  -  ------',
      '0 cat                       8  2  .  80.0 %',
      '1 dog                       1  4  5  40.0 %',
      '2 a class without pictures  .  .  .       -',
      'rows: what a picture is; columns: what it was taken for',
    ].join('\n'),
  );
});

describe('80 columns hold', () => {
  it.each([2, 10, 16, 17, 100, 1000])('%i classes of long names', (count) => {
    const classes = Array.from({ length: count }, (_, i) => `a name of a class that is far too long, ${i}`);
    const counts = classes.map((_, i) => classes.map((__, k) => (i === k ? 980 : (i + k) % 7 === 0 ? 12 : 0)));
    expect(widest(formatConfusion({ classes, counts }))).toBeLessThanOrEqual(80);
  });

  it('ten classes of ten thousand pictures, as a matrix', () => {
    const classes = Array.from({ length: 10 }, (_, i) => `class ${i}`);
    const text = formatConfusion({ classes, counts: classes.map(() => classes.map(() => 1000)) });
    expect(widest(text)).toBeLessThanOrEqual(80);
    expect(text).toContain('columns: what it was taken for');
  });
});

it('the pairs are those that are confused most', () => {
  expect(confusedPairs(THREE, 2)).toEqual([
    { label: 'dog', decision: 'a class without pictures', count: 5, share: 0.5 },
    { label: 'cat', decision: 'dog', count: 2, share: 0.2 },
  ]);
  expect(recallOf(THREE)).toEqual([0.8, 0.4, null]);
  expect(precisionOf(THREE)).toEqual([8 / 9, 4 / 6, 0]);
});
