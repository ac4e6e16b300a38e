/** Lines over epochs as SVG: panels with a legend, told apart without colour, following the reader's light or dark scheme. No script. */

import { threeDigits } from './format.ts';
import { drawMark, LINE_STYLE, LINE_STYLES } from './line-styles.ts';
import { linearScale, logScale, type Scale } from './plot-scale.ts';
import { drawAxes, escapeXml, openSvg, px, SVG_STYLE, text, textWidth } from './svg.ts';

export interface LinePoint {
  /** A whole number. */
  readonly x: number;
  /** Null, NaN or infinite where there is no number: the line has a gap there. */
  readonly y: number | null;
}

export interface Line {
  readonly name: string;
  readonly points: readonly LinePoint[];
  /** The same number looks the same in every panel; its position unless told. */
  readonly style?: number;
}

export interface LinePanel {
  readonly title: string;
  readonly lines: readonly Line[];
  /** Behind the numbers of the legend: ` %`. */
  readonly unit?: string;
  readonly xLabel: string;
  /** A logarithmic axis where the numbers span more than a factor of 30. */
  readonly mayBeLog?: boolean;
}

export interface DrawnPanel {
  readonly elements: readonly string[];
  readonly height: number;
}

export const PANEL_WIDTH = 380;
const PLOT = { left: 58, right: PANEL_WIDTH - 12, height: 190 } as const;
const LEGEND_LINE = 20;
const MOST_MARKS = 12;
const LOG_FACTOR = 30;
const STRETCHES = 250;

/** What the plots need of a style sheet. */
export const LINES_STYLE = SVG_STYLE + LINE_STYLE;

/** A whole file of panels, two in a row. */
export function plotLines(title: string, subtitle: string, panels: readonly LinePanel[]): string {
  const top = 64;
  const gap = 24;
  const placed: string[] = [];
  let y = top;
  for (let i = 0; i < panels.length; i += 2) {
    const row = panels.slice(i, i + 2).map((panel) => drawPanel(panel));
    for (const [column, { elements }] of row.entries()) {
      placed.push(`<g transform="translate(${column * (PANEL_WIDTH + gap)} ${y})">`, ...elements, '</g>');
    }
    y += Math.max(...row.map(({ height }) => height)) + gap;
  }
  return [
    ...openSvg(title, LINES_STYLE, 2 * PANEL_WIDTH + gap, y),
    text(14, 28, title, 'class="title"'),
    text(14, 48, subtitle, 'class="muted"'),
    ...placed,
    '</svg>',
    '',
  ].join('\n');
}

/** One panel for a page that has `LINES_STYLE`; it grows and shrinks with its box. */
export function inlinePanel(panel: LinePanel): string {
  const { elements, height } = drawPanel(panel);
  const label = escapeXml(`${panel.title}: ${panel.lines.map((line) => legendText(line, panel)).join('; ')}`);
  return [
    `<svg class="plot" viewBox="0 0 ${PANEL_WIDTH} ${px(height)}" role="img" aria-label="${label}">`,
    ...elements,
    '</svg>',
  ].join('\n');
}

function drawPanel(panel: LinePanel): DrawnPanel {
  const { title, lines, xLabel } = panel;
  const legend = layoutLegend(panel);
  const frame = {
    left: PLOT.left,
    right: PLOT.right,
    top: 30 + legend.height,
    bottom: 30 + legend.height + PLOT.height,
  };
  const height = frame.bottom + 40;
  const heading = [text(PLOT.left, 14, title, 'class="panel"'), ...legend.elements];
  const numbers = lines.flatMap(({ points }) => points.flatMap(({ y }) => (isNumber(y) ? [y] : [])));
  const xs = lines.flatMap(({ points }) => points.map(({ x }) => x));
  const x = wholeScale(xs.length === 0 ? [1] : xs, [frame.left, frame.right]);
  const y = yScale(numbers, panel, [frame.bottom, frame.top]);
  return {
    height,
    elements: [
      ...heading,
      ...drawAxes(x, y, frame),
      ...(numbers.length > 0
        ? []
        : [text((frame.left + frame.right) / 2, frame.top + 100, 'no numbers', 'class="muted" text-anchor="middle"')]),
      ...lines.flatMap((line, i) => drawLine(line, line.style ?? i, { x, y, panel, bottom: frame.bottom })),
      text((frame.left + frame.right) / 2, frame.bottom + 36, xLabel, 'class="muted" text-anchor="middle"'),
    ],
  };
}

interface Legend {
  readonly elements: readonly string[];
  readonly height: number;
}

/** A sample of each line with its name and its last number, as many in a row as fit. */
function layoutLegend(panel: LinePanel): Legend {
  const sample = 42;
  let [x, y]: [number, number] = [PLOT.left, 32];
  const elements: string[] = [];
  for (const [i, line] of panel.lines.entries()) {
    const style = line.style ?? i;
    const room = PLOT.right - PLOT.left - sample;
    const label = shorten(legendText(line, panel), room);
    const width = sample + textWidth(label) * 0.9 + 14;
    if (x > PLOT.left && x + width > PLOT.right) [x, y] = [PLOT.left, y + LEGEND_LINE];
    const at = px(y - 4);
    elements.push(
      `<line class="line line-${style % LINE_STYLES}" x1="${px(x)}" x2="${px(x + 36)}" y1="${at}" y2="${at}"/>`,
      drawMark(x + 18, y - 4, style),
      text(x + sample, y, label),
    );
    x += width;
  }
  return { elements, height: y - 32 + LEGEND_LINE };
}

function legendText({ name, points }: Line, { unit = '' }: LinePanel): string {
  const last = points.at(-1)?.y;
  if (last === undefined) return name;
  return `${name} ${isNumber(last) ? formatNumber(last) + unit : 'not a number'}`;
}

function shorten(label: string, width: number): string {
  const most = Math.floor(width / (textWidth('x') * 0.9));
  return label.length <= most ? label : `${label.slice(0, most - 1)}…`;
}

interface Place {
  readonly x: Scale;
  readonly y: Scale;
  readonly panel: LinePanel;
  readonly bottom: number;
}

function drawLine({ name, points: all }: Line, style: number, { x, y, panel, bottom }: Place): string[] {
  const points = thinned(all);
  const step = Math.max(1, Math.ceil(points.length / MOST_MARKS));
  const marked = points.filter(
    ({ y: value }, i) => isNumber(value) && ((points.length - 1 - i) % step === 0 || isAlone(points, i)),
  );
  return [
    ...runsOf(points).map((run) => {
      const corners = run.map((point) => `${px(x.at(point.x))},${px(y.at(point.y ?? 0))}`);
      return `<polyline class="line line-${style % LINE_STYLES}" points="${corners.join(' ')}"/>`;
    }),
    ...marked.map((point) => {
      const what = `${name}, ${panel.xLabel} ${point.x}: ${formatNumber(point.y ?? 0)}${panel.unit ?? ''}`;
      return drawMark(x.at(point.x), y.at(point.y ?? 0), style, escapeXml(what));
    }),
    // A cross on the axis where there is no number.
    ...points
      .filter(({ y: value }) => !isNumber(value))
      .map((point) => {
        const [cx, cy] = [px(x.at(point.x)), px(bottom)];
        const what = escapeXml(`${name}, ${panel.xLabel} ${point.x}: not a number`);
        return `<path class="none" d="M${cx} ${cy}m-4 -4l8 8m0 -8l-8 8"><title>${what}</title></path>`;
      }),
  ];
}

/** Runs of at least two points that have numbers. */
function runsOf(points: readonly LinePoint[]): LinePoint[][] {
  const runs: LinePoint[][] = [[]];
  for (const point of points) {
    if (isNumber(point.y)) runs.at(-1)?.push(point);
    else runs.push([]);
  }
  return runs.filter((run) => run.length > 1);
}

/** Of many points, the least and the greatest of each stretch, and one without a number: finer than the picture shows. */
function thinned(points: readonly LinePoint[]): readonly LinePoint[] {
  if (points.length <= 2 * STRETCHES) return points;
  const length = Math.ceil(points.length / STRETCHES);
  const kept = new Set<LinePoint | undefined>([points[0], points.at(-1)]);
  for (let from = 0; from < points.length; from += length) {
    const stretch = points.slice(from, from + length);
    const sorted = stretch.filter(({ y }) => isNumber(y)).sort((a, b) => (a.y ?? 0) - (b.y ?? 0));
    kept.add(sorted[0]).add(sorted.at(-1));
    kept.add(stretch.find(({ y }) => !isNumber(y)));
  }
  return points.filter((point) => kept.has(point));
}

function isAlone(points: readonly LinePoint[], i: number): boolean {
  return !isNumber(points[i - 1]?.y) && !isNumber(points[i + 1]?.y);
}

function isNumber(value: number | null | undefined): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

/** An axis whose ticks are whole numbers. */
function wholeScale(values: readonly number[], range: readonly [number, number]): Scale {
  const [low, high] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  const scale = linearScale(low === high ? [low - 1, high + 1] : [low, high], { range, count: 6 });
  const ticks = scale.ticks
    .map(({ value }) => ({ value, whole: Math.round(value) }))
    .filter(({ value, whole }) => Math.abs(value - whole) < 1e-6 && whole >= low && whole <= high)
    .map(({ whole }) => ({ value: whole, label: String(whole) }));
  return { at: scale.at, ticks };
}

function yScale(numbers: readonly number[], { mayBeLog = false }: LinePanel, range: readonly [number, number]): Scale {
  if (numbers.length === 0) return { at: () => range[0], ticks: [] };
  const [low, high] = numbers.reduce(
    ([a, b], value) => [Math.min(a, value), Math.max(b, value)],
    [Infinity, -Infinity],
  );
  if (mayBeLog && low > 0 && high > LOG_FACTOR * low) return logScale([low, high], { range });
  return linearScale([low, high], { range });
}

/** `98.3`, `0.0123`, `1.2e-5`. */
export function formatNumber(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 0.9995) return threeDigits(value);
  return size >= 0.001 ? value.toPrecision(3) : value.toExponential(1);
}
