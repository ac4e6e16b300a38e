import { expect, test } from 'vitest';
import { compareClassNames } from '../../src/inference/class-names.ts';

const compare = (...lists: readonly (readonly string[])[]): string[] =>
  compareClassNames(lists.map((classes, i) => ({ of: 'abc'[i]!, at: `${i}.onnx`, classes })));

test.each<[string, readonly (readonly string[])[], readonly string[]]>([
  ['the same', [['cat', 'dog'], [], ['cat', 'dog']], []],
  ['no names', [[], [], ['cat', 'dog']], []],
  ['other names', [['cat', 'dog'], [], ['cat', 'Hund']], ['class 1 is "dog" in a, "Hund" in c']],
  [
    'of two alike once',
    [
      ['cat', 'dog'],
      ['cat', 'dog'],
      ['Hund', 'Katze'],
    ],
    ['class 0 is "cat" in a, "Hund" in c'],
  ],
  [
    'numbers are no names',
    [
      ['cat', 'dog'],
      ['0', '1'],
    ],
    [],
  ],
])('%s', (_, lists, notes) => {
  expect(compare(...lists)).toEqual(notes.map((note) => `classes have other names: ${note}`));
});

test.each<[string, readonly string[], readonly string[]]>([
  ['names', ['cat', 'dog'], ['dog', 'cat']],
  ['numbers sorted as texts', [...'0123456789', '10'], ['0', '1', '10', ...'23456789']],
  ['a name that is there twice', ['crane', 'ox', 'crane'], ['crane', 'crane', 'ox']],
])('another order: %s', (_, a, b) => {
  expect(() => compare(a, b)).toThrowError(
    expect.objectContaining({ code: 'E_SHAPE', at: '0.onnx', message: expect.stringContaining('another order') }),
  );
});
