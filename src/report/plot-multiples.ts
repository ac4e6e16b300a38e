/** Small panels of one scale, side by side: lines with a band around each. For pages that have `LINES_STYLE`; no script. */

import { drawMark, LINE_STYLES } from './line-styles.ts';
import { formatNumber } from './plot-lines.ts';
import { linearScale, type Scale } from './plot-scale.ts';
import { escapeXml, px, text } from './svg.ts';

export interface BandPoint {
  /** A whole number. */
  readonly x: number;
  readonly mean: number;
  /** Half of the width of the band; null where there is none. */
  readonly spread: number | null;
}

export interface BandLine {
  readonly name: string;
  /** Lines of one style are of one kind in all panels. */
  readonly style: number;
  readonly points: readonly BandPoint[];
}

export interface SmallPanel {
  readonly title: string;
  readonly lines: readonly BandLine[];
}

const [WIDTH, HEIGHT] = [240, 140];
const PLOT = { left: 46, right: WIDTH - 10, top: 24, bottom: HEIGHT - 22 } as const;
/** Of a line, and of all lines of a panel, where that is less: more are thinned out, as a page has hundreds of panels. */
const [MOST_POINTS, MOST_OF_PANEL] = [48, 144];
const MOST_TITLE = 30;
const SAMPLE = { width: 46, height: 14 } as const;

/** All panels with one scale, each in an `<svg>` of its own. @param unit  behind the numbers of labels: `epoch`. */
export function smallPanels(panels: readonly SmallPanel[], unit: string): string[] {
  const points = panels.flatMap(({ lines }) => lines.flatMap((line) => line.points));
  if (points.length === 0) return [];
  const ends = points.flatMap(({ mean, spread }) => [mean - (spread ?? 0), mean + (spread ?? 0)]);
  const y = linearScale(extremes(ends), { range: [PLOT.bottom, PLOT.top], count: 3 });
  const [first, last] = extremes(points.map(({ x }) => x));
  const width = Math.max(1, last - first);
  const x = (value: number): number =>
    first === last ? (PLOT.left + PLOT.right) / 2 : PLOT.left + ((value - first) / width) * (PLOT.right - PLOT.left);
  const mostLines = Math.max(...panels.map(({ lines }) => lines.length));
  const most = Math.min(MOST_POINTS, Math.floor(MOST_OF_PANEL / mostLines));
  const thin = (panel: SmallPanel): SmallPanel => ({
    ...panel,
    lines: panel.lines.map((line) => ({ ...line, points: thinned(line.points, most) })),
  });
  return panels.map((panel) => drawPanel(thin(panel), { x, y, first, last, unit }));
}

/** What a line of a style looks like, for a legend. */
export function lineSample(style: number): string {
  const middle = SAMPLE.height / 2;
  return [
    `<svg class="sample" viewBox="0 0 ${SAMPLE.width} ${SAMPLE.height}" aria-hidden="true">`,
    `<line class="line line-${style % LINE_STYLES}" x1="1" x2="${SAMPLE.width - 1}" y1="${middle}" y2="${middle}"/>`,
    drawMark(SAMPLE.width / 2, middle, style),
    '</svg>',
  ].join('');
}

interface Place {
  readonly x: (value: number) => number;
  readonly y: Scale;
  readonly first: number;
  readonly last: number;
  readonly unit: string;
}

function drawPanel({ title, lines }: SmallPanel, { x, y, first, last, unit }: Place): string {
  const label = escapeXml(`${title}: ${lines.map(lastText).join('; ')}`);
  const { left, right, top, bottom } = PLOT;
  const shown = title.length > MOST_TITLE ? `…${title.slice(1 - MOST_TITLE)}` : title;
  return [
    `<svg class="plot" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">`,
    text(left, 14, shown, 'class="panel"'),
    ...y.ticks.flatMap(({ value, label: tick }) => [
      `<line class="grid" x1="${left}" x2="${right}" y1="${px(y.at(value))}" y2="${px(y.at(value))}"/>`,
      text(left - 6, y.at(value) + 4, tick, 'class="muted" text-anchor="end"'),
    ]),
    `<rect class="frame" x="${left}" y="${top}" width="${right - left}" height="${bottom - top}"/>`,
    text(left, HEIGHT - 6, `${unit} ${first}`, 'class="muted"'),
    ...(first === last ? [] : [text(right, HEIGHT - 6, String(last), 'class="muted" text-anchor="end"')]),
    ...lines.flatMap((line) => drawBand(line, x, y)),
    ...lines.flatMap((line) => drawLine(line, x, y)),
    '</svg>',
  ].join('\n');
}

function drawBand({ style, points: all }: BandLine, x: Place['x'], y: Scale): string[] {
  const points = all.filter(({ spread }) => spread !== null && spread > 0);
  if (points.length < 2) return [];
  const side = (sign: number): string[] =>
    points.map(({ x: at, mean, spread }) => `${px(x(at))},${px(y.at(mean + sign * (spread ?? 0)))}`);
  const corners = [...side(1), ...side(-1).reverse()];
  return [`<polygon class="band mark-${style % LINE_STYLES}" points="${corners.join(' ')}"/>`];
}

function drawLine(line: BandLine, x: Place['x'], y: Scale): string[] {
  const end = line.points.at(-1);
  if (end === undefined) return [];
  const corners = line.points.map((point) => `${px(x(point.x))},${px(y.at(point.mean))}`);
  return [
    `<polyline class="line line-${line.style % LINE_STYLES}" points="${corners.join(' ')}"/>`,
    drawMark(x(end.x), y.at(end.mean), line.style, escapeXml(lastText(line))),
  ];
}

function lastText({ name, points }: BandLine): string {
  const end = points.at(-1);
  return end === undefined ? `${name}: none` : `${name} ${bandText(end)}`;
}

/** `12.3 ± 0.4`. */
export function bandText({ mean, spread }: Pick<BandPoint, 'mean' | 'spread'>): string {
  return spread === null ? formatNumber(mean) : `${formatNumber(mean)} ± ${formatNumber(spread)}`;
}

/** Evenly, with the first and the last. */
function thinned(points: readonly BandPoint[], most: number): readonly BandPoint[] {
  const step = Math.max(1, (points.length - 1) / (most - 1));
  const count = Math.min(points.length, most);
  return Array.from({ length: count }, (_, i) => points[Math.round(i * step)]).filter((point) => point !== undefined);
}

function extremes(values: readonly number[]): [number, number] {
  return values.reduce<[number, number]>(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
}
