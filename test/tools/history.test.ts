import { readFile } from 'node:fs/promises';
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

it('in that picture a line leads from a name to its point, past no other one and across no other line', async () => {
  const svg = await readFile(new URL('../../models/cifar10.svg', import.meta.url), 'utf8');
  const numbers = (pattern: RegExp) => [...svg.matchAll(pattern)].map((found) => found.slice(1).map(Number));
  const circles = numbers(/<circle class="\w+" cx="([^"]+)" cy="([^"]+)" r="([^"]+)"/g);
  const lines = numbers(/<line class="leader" x1="([^"]+)" y1="([^"]+)" x2="([^"]+)" y2="([^"]+)"/g);
  expect(Math.min(circles.length, lines.length)).toBeGreaterThan(0);
  // By steps of half a pixel.
  const along = lines.map(([x1 = 0, y1 = 0, x2 = 0, y2 = 0]) => {
    const steps = 2 * Math.ceil(Math.hypot(x2 - x1, y2 - y1));
    return Array.from({ length: steps + 1 }, (_, i) => [x1 + ((x2 - x1) * i) / steps, y1 + ((y2 - y1) * i) / steps]);
  });
  for (const [i, line] of along.entries()) {
    const touched = circles.filter(([cx = 0, cy = 0, radius = 0]) =>
      line.some(([x = 0, y = 0]) => Math.hypot(x - cx, y - cy) < radius + 0.3),
    );
    expect(touched).toHaveLength(1);
    for (const [x = 0, y = 0] of line) {
      for (const [u = 0, v = 0] of along.slice(i + 1).flat()) expect(Math.hypot(x - u, y - v)).toBeGreaterThan(0.7);
    }
  }
});
