import { expect, it } from 'vitest';
import { formatHistory, parseHistory } from '../../tools/model-card/history.ts';
import { runSource } from '../cli/spawn-cli.ts';

it('keeps the epochs that were tested', () => {
  const text = formatHistory([
    { epoch: 1, testTop1: 0.25 },
    { epoch: 2, testTop1: null },
    { epoch: 3, testTop1: 0.5 },
  ]);
  expect(text).toBe('epoch,test_top1\n1,0.25\n2,\n3,0.5\n');
  expect(parseHistory(text, 'x.csv')).toEqual([
    { epoch: 1, accuracy: 0.25 },
    { epoch: 3, accuracy: 0.5 },
  ]);
});

it('names the line that is none', () => {
  expect(() => parseHistory('epoch,test_top1\n1,0.5\ntwo,0.6\n', 'x.csv')).toThrow("line 3 is 'two,0.6'");
  expect(() => parseHistory('epoch\n', 'x.csv')).toThrow("the first line is 'epoch'");
});

it('the picture of the trained models is that of their histories', async () => {
  const { code, stderr } = await runSource('tools/plot-models.ts', ['--check']);
  expect(stderr).toBe('');
  expect(code).toBe(0);
});
