import fc from 'fast-check';
import { expect, it } from 'vitest';
import { colorOf } from '../../src/report/plot-color.ts';
import { type PlotPoint, plotEquilibrium } from '../../src/report/plot-equilibrium.ts';
import { placeLabels } from '../../src/report/plot-labels.ts';
import { linearScale, logScale } from '../../src/report/plot-scale.ts';

const interval = fc
  .tuple(fc.double({ min: -1e4, max: 1e4, noNaN: true }), fc.double({ min: 1e-3, max: 1e4, noNaN: true }))
  .map(([low, width]) => [low, low + width] as const);

it('ticks of a linear axis: equal round steps, some of them, labels that say their values', () => {
  fc.assert(
    fc.property(interval, (values) => {
      const { ticks } = linearScale(values, { range: [0, 100] });
      expect(ticks.length).toBeGreaterThanOrEqual(2);
      expect(ticks.length).toBeLessThanOrEqual(8);
      const step = ticks[1]!.value - ticks[0]!.value;
      const mantissa = step / 10 ** Math.floor(Math.log10(step) + 1e-6);
      expect([1, 2, 2.5, 5].some((round) => Math.abs(mantissa - round) < 1e-4)).toBe(true);
      for (const [i, { value, label }] of ticks.entries()) {
        expect(value).toBeCloseTo(ticks[0]!.value + i * step, 6);
        expect(Math.abs(Number(label) - value)).toBeLessThan(step * 1e-3);
      }
      expect(new Set(ticks.map(({ label }) => label.length - Number(label.startsWith('-')))).size).toBeLessThan(6);
    }),
  );
});

it('labels of a logarithmic axis say their values', () => {
  const superscripts = '⁰¹²³⁴⁵⁶⁷⁸⁹⁻';
  const parse = (label: string): number => {
    const plain = label.replace(
      /[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+/u,
      (power) => `^${[...power].map((c) => '0123456789-'[[...superscripts].indexOf(c)]).join('')}`,
    );
    const [, factor = '1', exponent] = plain.match(/^(?:([\d.]+)·)?10\^(-?\d+)$/) ?? [];
    return exponent === undefined ? Number(label) : Number(factor) * 10 ** Number(exponent);
  };
  for (const [low, high] of [
    [1e-8, 1e-3],
    [5e-8, 1.2e-6],
    [2, 3],
    [1e-12, 1e12],
    [0.05, 70],
  ] as const) {
    const { ticks, at } = logScale([low, high], { range: [0, 100] });
    expect(ticks.length, `${low} … ${high}`).toBeGreaterThanOrEqual(2);
    expect(ticks.length).toBeLessThanOrEqual(9);
    for (const { value, label } of ticks) expect(parse(label) / value).toBeCloseTo(1, 9);
    expect(at(Math.sqrt(low * high))).toBeCloseTo(50, 9);
  }
});

it('scales keep order and stay inside, also for a single value and a reversed range', () => {
  const scale = linearScale([3, 7], { range: [200, 0] });
  expect(scale.at(3)).toBeLessThan(200);
  expect(scale.at(7)).toBeGreaterThan(0);
  expect(scale.at(3)).toBeGreaterThan(scale.at(7));
  expect(linearScale([5], { range: [0, 10] }).at(5)).toBeCloseTo(5, 10);
  expect(logScale([5], { range: [0, 10] }).at(5)).toBeCloseTo(5, 10);
});

it('colours grow lighter (relative luminance), so that they order without hue', () => {
  const luminance = (hex: string) => {
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16) / 255);
    return 0.2126 * r ** 2.2 + 0.7152 * g ** 2.2 + 0.0722 * b ** 2.2;
  };
  const shades = Array.from({ length: 21 }, (_, i) => luminance(colorOf(i / 20)));
  for (let i = 1; i < shades.length; i++) expect(shades[i]!).toBeGreaterThan(shades[i - 1]!);
});

const spread = (mean: number, std: number | null = null) => ({ n: 3, mean, std });
const point = (name: string, x: number, y: number, order: number | null): PlotPoint => ({
  ...{ name, order },
  ...{ x: spread(x, x / 50), y: spread(y, y / 10), color: spread(x / 1000, 0.01) },
});

function draw(points: PlotPoint[]): string {
  const panel = { title: 'panel', xLabel: 'x', yLabel: 'y', points, isLogY: true };
  return plotEquilibrium([panel], { title: 'a < b & "c"', subtitle: 'sub', colorLabel: 'accuracy' });
}

it('draws one circle and one name per point, joins the sweep in its order, escapes text', () => {
  const svg = draw([point('o=3', 200, 1e-6, 3), point('ste', 320, 1e-7, null), point('o=1', 310, 1.1e-7, 1)]);
  expect(svg.match(/<circle /g)).toHaveLength(3);
  expect(svg).toContain('a &lt; b &amp; &quot;c&quot;');
  const [, line = ''] = svg.match(/<polyline class="sweep" points="([^"]+)"/) ?? [];
  const xs = line.split(' ').map((pair) => Number(pair.split(',')[0]));
  expect(xs).toHaveLength(2);
  expect(xs[0]).toBeGreaterThan(xs[1]!);
  expect(svg).toContain('prefers-color-scheme: dark');
  expect(svg).not.toMatch(/NaN|Infinity|undefined|null/);
});

it('names cover neither points nor one another, and stay in the frame', () => {
  const frame = { left: 0, top: 0, right: 400, bottom: 320 };
  const places = fc.array(
    fc.record({
      name: fc.constantFrom('ste', 'o=10', 'swish-sign', 'approx-sign'),
      cx: fc.integer({ min: 6, max: 394 }),
      cy: fc.integer({ min: 6, max: 314 }),
    }),
    { minLength: 1, maxLength: 9 },
  );
  fc.assert(
    fc.property(places, (points) => {
      const labels = placeLabels(points, frame, 6);
      expect(labels.map(({ name }) => name)).toEqual(points.map(({ name }) => name));
      const boxes = labels.map(({ name, x, y }) => ({ x1: x, x2: x + 6.6 * name.length, y1: y - 10, y2: y + 3 }));
      for (const [i, box] of boxes.entries()) {
        expect(Math.min(box.x1, box.y1, frame.right - box.x2, frame.bottom - box.y2)).toBeGreaterThanOrEqual(0);
        for (const { cx, cy } of points) {
          const [dx, dy] = [Math.max(box.x1 - cx, cx - box.x2), Math.max(box.y1 - cy, cy - box.y2)];
          expect(Math.max(dx, dy)).toBeGreaterThanOrEqual(6);
        }
        for (const other of boxes.slice(i + 1)) {
          const apart = Math.max(box.x1 - other.x2, other.x1 - box.x2, box.y1 - other.y2, other.y1 - box.y2);
          // Names may touch, up to rounding.
          expect(apart).toBeGreaterThanOrEqual(-1e-9);
        }
      }
    }),
  );
});

it.each([
  ['powers of ten with factors', [1.2e-6, 1.6e-6, 3e-6], true],
  ['long numbers', [0.000012, 0.000013, 0.000014], false],
  ['large numbers', [123_456, 124_000, 125_000], false],
] as const)('the title of the y axis stands clear of its ticks, and inside the picture: %s', (_, values, isLogY) => {
  const points = values.map((y, i) => ({ ...point('x', 100 + i, y, null), y: spread(y, null) }));
  const panel = { title: 'panel', xLabel: 'x', yLabel: 'the title', points, isLogY };
  const svg = plotEquilibrium([panel, panel], { title: 't', subtitle: 's', colorLabel: 'c' });
  const titles = [...svg.matchAll(/translate\(([\d.]+) [\d.]+\) rotate/g)].map(([, x]) => Number(x));
  const frames = [...svg.matchAll(/class="frame" x="([\d.]+)"[^>]* width="400"/g)].map(([, x]) => Number(x));
  const ticks = [...svg.matchAll(/<text x="([\d.]+)"[^>]*text-anchor="end">([^<]+)</g)];
  expect(titles).toHaveLength(2);
  for (const [i, title] of titles.entries()) {
    // Letters of 12 pixels reach at most so far above and below their baseline.
    const [from, to] = [title - 13, title + 4];
    expect(from).toBeGreaterThanOrEqual(i === 0 ? 0 : frames[i - 1]! + 400);
    for (const [, x, label = ''] of ticks.filter(([, x]) => Number(x) < frames[i]! && Number(x) > frames[i]! - 60)) {
      expect(Number(x) - 7 * label.length).toBeGreaterThanOrEqual(to);
    }
  }
  const labels = ticks.slice(0, ticks.length / 2).map(([, , label]) => label);
  expect(new Set(labels).size).toBe(labels.length);
});

it('one point without spread is drawn as well', () => {
  const alone = { name: 'only', x: spread(1), y: spread(1), color: spread(0.5), order: null };
  expect(draw([alone])).not.toMatch(/NaN|Infinity/);
});
