import { describe, expect, test } from 'vitest';
import { formatBar, LiveLine } from '../../src/report/progress.ts';

function stream(isTTY: boolean, columns = 20) {
  const written: string[] = [];
  return { isTTY, columns, write: (text: string) => written.push(text), written };
}

describe('LiveLine', () => {
  test('writes whole lines and nothing else where there is no terminal', () => {
    const pipe = stream(false);
    const line = new LiveLine(pipe);
    line.update(() => {
      throw new Error('not to be made');
    });
    line.log('epoch 1');
    line.clear();
    expect(pipe.written).toEqual(['epoch 1\n']);
  });

  test('overwrites on a terminal, cut to its width, and gives way to lines that stay', () => {
    const terminal = stream(true, 5);
    const line = new LiveLine(terminal);
    line.update(() => 'abcdefgh');
    line.log('done');
    expect(terminal.written).toEqual(['\r\u001b[2Kabcd', '\r\u001b[2K', 'done\n']);
  });

  test('is written at most ten times a second', () => {
    const terminal = stream(true);
    const line = new LiveLine(terminal);
    let made = 0;
    for (let i = 0; i < 1000; i++) line.update(() => String(made++));
    expect(made).toBeLessThan(5);
  });

  test('can be switched off', () => {
    const terminal = stream(true);
    new LiveLine(terminal, false).update(() => 'x');
    expect(terminal.written).toEqual([]);
  });
});

describe('formatBar', () => {
  test.each([
    [0, '[....]'],
    [0.5, '[##..]'],
    [1, '[####]'],
    [-1, '[....]'],
    [2, '[####]'],
  ])('%s -> %s', (share, text) => expect(formatBar(share, 4)).toBe(text));
});
