import { expect, test } from 'vitest';
import { expandBraces } from '../../../src/data/formats/brace-pattern.ts';

// What bash prints for the same patterns.
test.each([
  ['a.tar', 'a.tar'],
  ['a-{0..3}.tar', 'a-0.tar a-1.tar a-2.tar a-3.tar'],
  ['a-{008..011}', 'a-008 a-009 a-010 a-011'],
  ['{3..1}', '3 2 1'],
  ['{a,b}{1..2}', 'a1 a2 b1 b2'],
  ['/d/{train-{00..01},val-0}.tar', '/d/train-00.tar /d/train-01.tar /d/val-0.tar'],
  ['{a,}b', 'ab b'],
])('%s', (pattern, expected) => {
  expect(expandBraces(pattern).join(' ')).toBe(expected);
});

test.each(['{0..3', 'a}b', '{a,{b}', '{0..9999999}'])('%s is refused', (pattern) => {
  expect(() => expandBraces(pattern)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
});
