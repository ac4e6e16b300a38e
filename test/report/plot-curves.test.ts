import { expect, it } from 'vitest';
import { plotCurves } from '../../src/report/plot-curves.ts';

const OPTIONS = {
  title: 'a < b',
  subtitle: 'two networks',
  references: [{ name: 'paper', epoch: 100, accuracy: 0.9 }],
};

/** Corner points of each line, as numbers. */
function polylines(svg: string): number[][][] {
  return [...svg.matchAll(/<polyline class="curve"[^>]* points="([^"]+)"/g)].map(([, points = '']) =>
    points.split(' ').map((pair) => pair.split(',').map(Number)),
  );
}

it('draws a line per curve over a logarithmic axis, its end with name and accuracy, and the references', () => {
  const points = [1, 10, 100].map((epoch, i) => ({ epoch, accuracy: 0.6 + 0.1 * i }));
  const svg = plotCurves([{ name: 'x & y', points }], OPTIONS);
  const [[a, b, c] = []] = polylines(svg);
  // Equal steps of the logarithm and of accuracy are equal steps of both axes.
  expect(b![0]! - a![0]!).toBeCloseTo(c![0]! - b![0]!, 0);
  expect(b![1]! - a![1]!).toBeCloseTo(c![1]! - b![1]!, 0);
  expect(c![1]!).toBeLessThan(a![1]!);
  expect(svg).toContain('x &amp; y, 80.00 %');
  expect(svg).toContain('paper, 90.00 %');
  expect(svg).toContain('<title>a &lt; b</title>');
  expect(svg).toContain('prefers-color-scheme: dark');
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
});

it('draws a line from its first epoch, however bad that was, inside the frame', () => {
  const points = [0.1, 0.6, 0.7].map((accuracy, i) => ({ epoch: i + 1, accuracy }));
  const svg = plotCurves([{ name: 'x', points }], OPTIONS);
  const [line = []] = polylines(svg);
  expect(line).toHaveLength(3);
  const [, left, top, width, height] =
    /class="frame" x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"/.exec(svg)?.map(Number) ?? [];
  for (const [x = Number.NaN, y = Number.NaN] of line) {
    expect(x).toBeGreaterThan(left!);
    expect(x).toBeLessThan(left! + width!);
    expect(y).toBeGreaterThan(top!);
    expect(y).toBeLessThan(top! + height!);
  }
});

it('puts names beside the lines', () => {
  const points = Array.from({ length: 100 }, (_, i) => ({ epoch: i + 1, accuracy: 0.6 + 0.002 * i }));
  const svg = plotCurves([{ name: 'a long name', points }], OPTIONS);
  const [, x = '', y = '', name = ''] =
    svg.match(/<text x="([^"]+)" y="([^"]+)" class="label">(a long name[^<]*)</) ?? [];
  const [left, right, top, bottom] = [Number(x), Number(x) + 6.6 * name.length, Number(y) - 10, Number(y) + 3];
  const covered = polylines(svg)[0]!.filter(([cx = 0, cy = 0]) => cx > left && cx < right && cy > top && cy < bottom);
  expect(covered).toEqual([]);
});
