import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fitWidth } from '../../src/report/fit-width.ts';
import { formatPairs, formatTable } from '../../src/report/table.ts';

const widest = (text: string): number => Math.max(...text.split('\n').map((line) => [...line].length));

test('a line is broken between words, under its value', () => {
  const text = formatPairs([
    ['a', '1'],
    ['name', 'one two three four five'],
  ]);
  expect(fitWidth(text, 20)).toBe('a     1\nname  one two three\n      four five');
});

test('what fits, and everything where no width is known, stays as it is', () => {
  const text = 'a  b\n-  -\n1  2';
  expect(fitWidth(text, 4)).toBe(text);
  expect(fitWidth('x '.repeat(500), Number.POSITIVE_INFINITY)).toBe('x '.repeat(500));
});

test('a table becomes tables of fewer columns, each with the first; text behind it is text', () => {
  const columns = [
    { title: 'layer' },
    { title: 'bits' },
    { title: 'bytes', align: 'right' },
    { title: 'why' },
  ] as const;
  const table = formatTable(columns, [
    ['conv1', '1', '12', 'because of this'],
    ['fc', '32', '7', ''],
  ]);
  expect(fitWidth(`${table}\n\nsome words behind it`, 18)).toBe(
    [
      'layer  bits  bytes',
      '-----  ----  -----',
      'conv1  1        12',
      'fc     32        7',
      '',
      'layer  why',
      '-----  -----------',
      'conv1  because of',
      '       this',
      'fc',
      '',
      'some words behind',
      '  it',
    ].join('\n'),
  );
});

test('no line is wider, and no word is lost', () => {
  const word = fc.stringMatching(/^[a-z]{1,9}$/);
  fc.assert(
    fc.property(fc.array(fc.array(word, { minLength: 3, maxLength: 3 }), { minLength: 1 }), (rows) => {
      const table = formatTable([{ title: 'a' }, { title: 'b', align: 'right' }, { title: 'c' }], rows);
      const fitted = fitWidth(`${rows.flat().join(' ')}\n\n${table}`, 20);
      expect(widest(fitted)).toBeLessThanOrEqual(20);
      for (const text of rows.flat()) expect(fitted.split(/\s+/)).toContain(text);
    }),
  );
});
