import { expect, it } from 'vitest';
import { type BandPoint, bandText, smallPanels } from '../../src/report/plot-multiples.ts';

const points = (values: readonly number[], spread: number | null = null): BandPoint[] =>
  values.map((mean, i) => ({ x: i + 1, mean, spread }));
const line = (name: string, style: number, of: readonly BandPoint[]) => ({ name, style, points: of });
const cornersOf = (svg: string, shape: 'polyline' | 'polygon'): number[][][] =>
  [...svg.matchAll(new RegExp(`<${shape} class="[^"]*" points="([^"]*)"`, 'g'))].map(([, list = '']) =>
    list.split(' ').map((pair) => pair.split(',').map(Number)),
  );

it('panels share one scale, so that equal numbers stand at equal heights', () => {
  const [first = '', second = ''] = smallPanels(
    [
      { title: 'a', lines: [line('one', 0, points([1, 2, 3]))] },
      { title: 'b', lines: [line('one', 0, points([3, 20, 1])), line('two', 1, points([2, 2, 2]))] },
    ],
    'epoch',
  );
  const [[low, middle, high] = []] = cornersOf(first, 'polyline');
  const [[, top, bottom] = [], flat = []] = cornersOf(second, 'polyline');
  expect(low![1]).toBe(bottom![1]);
  expect(flat[0]![1]).toBe(middle![1]);
  // Larger is higher up; epochs go to the right.
  expect(high![1]).toBeLessThan(middle![1]!);
  expect(top![1]).toBeLessThan(high![1]!);
  expect([low![0]! < middle![0]!, middle![0]! < high![0]!]).toEqual([true, true]);
});

it('a band is as wide as twice the deviation, and is left out where there is none', () => {
  const [svg = ''] = smallPanels(
    [{ title: 'a', lines: [line('one', 0, points([2, 4], 1)), line('two', 1, points([1, 5]))] }],
    'epoch',
  );
  const [[start, end] = []] = cornersOf(svg, 'polyline');
  const perUnit = (start![1]! - end![1]!) / 2;
  const bands = cornersOf(svg, 'polygon');
  expect(bands.length).toBe(1);
  const [upper, , , lower] = bands[0]!;
  expect(lower![1]! - upper![1]!).toBeCloseTo(2 * perUnit, 0);
  expect(bandText({ mean: 2, spread: 1 })).toBe('2.00 ± 1.00');
});

it('many epochs are thinned out, with the first and the last; one epoch and none are drawn too', () => {
  const many = points(Array.from({ length: 1000 }, (_, i) => i));
  const [svg = ''] = smallPanels([{ title: '<a>', lines: [line('one', 0, many)] }], 'epoch');
  const [corners = []] = cornersOf(svg, 'polyline');
  expect(corners.length).toBe(48);
  expect(svg).toContain('>1000</text>');
  expect(svg).toContain('&lt;a&gt;');
  expect(svg.length).toBeLessThan(2500);
  const [one = ''] = smallPanels([{ title: 'a', lines: [line('one', 0, points([7])), line('two', 1, [])] }], 'epoch');
  expect(one).not.toMatch(/NaN|Infinity/);
  expect(smallPanels([{ title: 'a', lines: [] }], 'epoch')).toEqual([]);
});
