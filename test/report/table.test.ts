import { describe, expect, test } from 'vitest';
import { type Column, formatHeader, formatPairs, formatRow, formatTable } from '../../src/report/table.ts';

const COLUMNS: readonly Column[] = [{ title: 'name' }, { title: 'n', align: 'right' }];

describe('formatTable', () => {
  test('columns are as wide as their widest cell, numbers stand on the right', () => {
    const rows = [
      ['a', '1'],
      ['longer', '1,234'],
    ];
    expect(formatTable(COLUMNS, rows, [['sum', '1,235']])).toBe(
      ['name        n', '------  -----', 'a           1', 'longer  1,234', '------  -----', 'sum     1,235'].join('\n'),
    );
  });
  test('no rows, no footer', () => expect(formatTable(COLUMNS, [])).toBe('name  n\n----  -'));
  test('missing cells are empty, and no spaces end a line', () =>
    expect(formatTable([{ title: 'n', align: 'right' }, { title: 'name' }], [['1']])).toBe('n  name\n-  ----\n1'));
  test('counts characters, not code units', () =>
    expect(
      formatTable(COLUMNS, [
        ['×', '1'],
        ['𝔸𝔸𝔸𝔸𝔸', '2'],
      ]).split('\n')[2],
    ).toBe('×      1'));
});

test('a cell stays on its line, whatever it holds', () => {
  const name = 'a\u001b[2J\nFAKE';
  const shown = 'a\\u001b[2J\\nFAKE';
  expect(formatTable(COLUMNS, [[name, '1']], [[name, '2']]).split('\n')).toEqual([
    `${'name'.padEnd(shown.length)}  n`,
    `${'-'.repeat(shown.length)}  -`,
    `${shown}  1`,
    `${'-'.repeat(shown.length)}  -`,
    `${shown}  2`,
  ]);
  expect(formatPairs([[name, name]])).toBe(`${shown}  ${shown}`);
  expect(formatRow([{ title: 'n' }], [name])).toBe(`| ${shown} |`);
});

describe('formatRow', () => {
  const columns: readonly Column[] = [
    { title: 'epoch', width: 5, align: 'right' },
    { title: 'acc', width: 6, align: 'right' },
  ];
  test('title and row line up', () => {
    expect(formatHeader(columns)).toBe('| epoch |    acc |');
    expect(formatRow(columns, ['1', '0.5000'])).toBe('|     1 | 0.5000 |');
  });
  test('a long cell is not cut', () => expect(formatRow(columns, ['1234567', '1'])).toBe('| 1234567 |      1 |'));
});

test('formatPairs aligns the values', () =>
  expect(
    formatPairs([
      ['a', 'x'],
      ['long', 'y'],
      ['none', ''],
    ]),
  ).toBe('a     x\nlong  y\nnone'));
