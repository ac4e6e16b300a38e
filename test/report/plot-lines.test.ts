import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { LINE_STYLES } from '../../src/report/line-styles.ts';
import { inlinePanel, type LinePanel, plotLines } from '../../src/report/plot-lines.ts';

const PANEL: LinePanel = {
  title: 'loss & more',
  xLabel: 'epoch',
  lines: [
    { name: 'a <b>', points: [1, 2, 3, 4].map((x) => ({ x, y: 10 * x })) },
    { name: 'second', points: [1, 2, 3, 4].map((x) => ({ x, y: 50 - x })) },
  ],
};

function polylines(svg: string): number[][][] {
  return [...svg.matchAll(/<polyline class="line [^>]* points="([^"]+)"/g)].map(([, points = '']) =>
    points.split(' ').map((pair) => pair.split(',').map(Number)),
  );
}

/** Another reader: librsvg refuses what is not well-formed. */
async function sizeOf(svg: string): Promise<{ width: number; height: number }> {
  const { width, height } = await sharp(Buffer.from(svg)).metadata();
  return { width, height };
}

describe('lines', () => {
  it('go through their points: equal steps of numbers are equal steps of the picture, upwards', () => {
    const [[a, b, c, d] = []] = polylines(plotLines('t', 's', [PANEL]));
    for (const axis of [0, 1]) {
      expect(b![axis]! - a![axis]!).toBeCloseTo(c![axis]! - b![axis]!, 0);
      expect(c![axis]! - b![axis]!).toBeCloseTo(d![axis]! - c![axis]!, 0);
    }
    expect(d![1]!).toBeLessThan(a![1]!);
  });

  it('are told apart without colour: each style has dashes and a mark of its own', () => {
    const lines = Array.from({ length: LINE_STYLES }, (_, i) => ({ name: `line ${i}`, points: [{ x: 1, y: i }] }));
    const svg = plotLines('t', 's', [{ ...PANEL, lines }]);
    const dashes = [...svg.matchAll(/\.line-\d+ \{ stroke: #\w+; (?:stroke-dasharray: ([^;]+);)?/g)].map(
      ([, d = '']) => d,
    );
    expect(new Set(dashes.slice(0, LINE_STYLES)).size).toBe(LINE_STYLES);
    // Of the legend, moved to one place; without what depends on it.
    const shapes = [...svg.matchAll(/<path class="mark-\d" d="([^"]+)"><\/path>/g)].map(([, d = '']) => {
      const [x = 0, y = 0] = d.slice(1).split(/[ La]/).map(Number);
      return [...d.matchAll(/[ML]([-\d.]+) ([-\d.]+)/g)]
        .map(([, cx, cy]) => `${Math.round(Number(cx) - x)} ${Math.round(Number(cy) - y)}`)
        .join(',');
    });
    expect(shapes).toHaveLength(LINE_STYLES);
    expect(new Set(shapes).size).toBe(LINE_STYLES);
  });

  it('have a gap and a cross where there is no number', async () => {
    const points = [1, 2, null, 4, Number.NaN, 6, 7].map((y, i) => ({ x: i + 1, y }));
    const svg = plotLines('t', 's', [{ ...PANEL, lines: [{ name: 'x', points }] }]);
    expect(polylines(svg).map((line) => line.length)).toEqual([2, 2]);
    expect(svg.match(/class="none"/g)).toHaveLength(2);
    expect(svg).toContain('epoch 4: 4.00');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    await expect(sizeOf(svg)).resolves.toMatchObject({ width: 784 });
  });

  it('of one epoch, or of no number at all, are still a picture', async () => {
    for (const y of [0.5, null]) {
      const svg = plotLines('t', 's', [{ ...PANEL, lines: [{ name: 'x', points: [{ x: 1, y }] }] }]);
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      expect(svg.includes('no numbers')).toBe(y === null);
      expect(svg.includes('not a number')).toBe(y === null);
      await sizeOf(svg);
    }
  });

  it('have whole epochs at the axis', () => {
    const svg = inlinePanel({ ...PANEL, lines: [{ name: 'x', points: [1, 2].map((x) => ({ x, y: x })) }] });
    const ticks = [...svg.matchAll(/text-anchor="middle">([^<]+)</g)].map(([, label]) => label);
    expect(ticks).toEqual(['1', '2', 'epoch']);
  });
});

it('names and numbers are in the label for who does not see the picture, and special characters are escaped', async () => {
  const svg = inlinePanel(PANEL);
  expect(svg).toContain('aria-label="loss &amp; more: a &lt;b&gt; 40.0; second 46.0"');
  expect(svg).toContain('>loss &amp; more<');
  await sizeOf(plotLines('<&">', '', [PANEL, PANEL, PANEL]));
});

it('a file follows the light or dark scheme and loads nothing', () => {
  const svg = plotLines('t', 's', [PANEL]);
  expect(svg).toContain('prefers-color-scheme: dark');
  expect(svg.match(/https?:[^"]*/g)).toEqual(['http://www.w3.org/2000/svg']);
});

it('so many epochs without a number, every other or every third one, take no more than some', () => {
  for (const every of [1, 2, 3]) {
    const points = Array.from({ length: 50_000 }, (_, x) => ({ x, y: x % every === 0 ? null : x }));
    const svg = inlinePanel({ ...PANEL, lines: [{ name: 'x', points }] });
    expect(svg.length).toBeLessThan(300_000);
    expect(svg).toContain('class="none"');
  }
});
