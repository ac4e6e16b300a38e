import { expect, it } from 'vitest';
import { csvLines } from '../../src/cli/predict/csv.ts';

const line = (picture: string, name: string) => csvLines({ picture, guesses: [{ index: 0, name, probability: 0.5 }] });

it.each([
  ['a.png', 'cat', 'a.png,1,cat,0,0.5'],
  ['a,"b".png', 'two\nlines', '"a,""b"".png",1,"two\nlines",0,0.5'],
  // Numbers are no formulas, and a minus within a name is none.
  ['a-b.png', '-1', 'a-b.png,1,-1,0,0.5'],
  ['a.png', '+1.5', 'a.png,1,+1.5,0,0.5'],
])('%j, %j', (picture, name, expected) => expect(line(picture, name)).toBe(expected));

it.each([
  ['=HYPERLINK("x").png', '"./=HYPERLINK(""x"").png"'],
  ['-1+cmd.png', './-1+cmd.png'],
  ['@SUM(1).png', './@SUM(1).png'],
])('a spreadsheet sees no formula in the file %j', (picture, cell) =>
  expect(line(picture, 'a')).toBe(`${cell},1,a,0,0.5`),
);

it.each([
  ["=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"],
  ['+1+1', "'+1+1"],
  ['-2+3', "'-2+3"],
  ['@A1', "'@A1"],
])('a spreadsheet sees no formula in the class %j', (name, cell) => expect(line('a', name)).toBe(`a,1,${cell},0,0.5`));
