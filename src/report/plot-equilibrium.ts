/**
 * The equilibrium plot as SVG: estimating error against gradient stability, accuracy as colour, one point per arm of a comparison.
 * It follows the reader's light or dark scheme and needs no script.
 */

import type { Spread } from '../core/numbers/statistics.ts';
import { colorOf } from './plot-color.ts';
import { type Box, type LabelledPoint, placeLabels } from './plot-labels.ts';
import { linearScale, logScale, type Scale } from './plot-scale.ts';
import { AXIS_LABEL_GAP, drawAxes, escapeXml, openSvg, px, SVG_STYLE, text, textWidth } from './svg.ts';

export interface PlotPoint {
  readonly name: string;
  readonly x: Spread;
  readonly y: Spread;
  /** Accuracy, 0 … 1. */
  readonly color: Spread;
  /** Position in a sweep; points that have one are joined in its order. */
  readonly order: number | null;
}

export interface PlotPanel {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly points: readonly PlotPoint[];
  /** Logarithmic y; all values must be positive. */
  readonly isLogY: boolean;
}

export interface PlotOptions {
  readonly title: string;
  /** A line below the title: network, data, epochs, seeds. */
  readonly subtitle: string;
  readonly colorLabel: string;
}

const PANEL = { width: 400, height: 320, top: 92, gap: 14 } as const;
/** Left of a panel: at least this, more where the labels of its ticks are long. */
const MARGIN = 78;
/** Of the letters of the title of the y axis, above its baseline. */
const TITLE_ASCENT = 14;
const BAR = { width: 14, gap: 34, labels: 84 } as const;
const FOOT = 64;
const POINT_RADIUS = 6;

const STYLE = `${SVG_STYLE}
  .error { stroke: #59636e; stroke-width: 1.2; }
  .sweep { fill: none; stroke: #59636e; stroke-width: 1.4; stroke-dasharray: 5 4; }
  @media (prefers-color-scheme: dark) {
    .error, .sweep { stroke: #9198a1; }
  }
`;

/** @param panels at least one, each with at least one point. */
export function plotEquilibrium(panels: readonly PlotPanel[], options: PlotOptions): string {
  const colors = panels.flatMap(({ points }) => points.map(({ color }) => color.mean));
  const [low, high] = [Math.min(...colors), Math.max(...colors)];
  const shareOf = (value: number): number => (high > low ? (value - low) / (high - low) : 0.5);
  const margin = Math.max(MARGIN, ...panels.map((panel) => titleOffset(yScale(panel)) + TITLE_ASCENT));
  const pitch = margin + PANEL.width + PANEL.gap;
  const barX = panels.length * pitch - PANEL.gap + BAR.gap;
  const width = barX + BAR.width + BAR.labels;
  const height = PANEL.top + PANEL.height + FOOT;
  return [
    ...openSvg(options.title, STYLE, width, height),
    text(margin, 30, options.title, 'class="title"'),
    text(margin, 50, options.subtitle, 'class="muted"'),
    ...panels.flatMap((panel, i) => drawPanel(panel, margin + i * pitch, shareOf)),
    ...drawColorBar(barX, low, high, options.colorLabel),
    '</svg>',
    '',
  ].join('\n');
}

function yScale({ points, isLogY }: PlotPanel): Scale {
  const ends = endsOf(points.map((point) => point.y));
  const range = [PANEL.top + PANEL.height, PANEL.top] as const;
  if (!isLogY) return linearScale(ends, { range });
  return logScale(
    ends.filter((value) => value > 0),
    { range },
  );
}

/** Means, and one standard deviation to each side. */
function endsOf(spreads: readonly Spread[]): number[] {
  return spreads.flatMap(({ mean, std }) => [mean - (std ?? 0), mean, mean + (std ?? 0)]);
}

/** How far left of a panel the title of the y axis stands, beyond the labels of the ticks. */
function titleOffset(y: Scale): number {
  return Math.max(58, ...y.ticks.map(({ label }) => AXIS_LABEL_GAP + textWidth(label) + 10));
}

function drawPanel(panel: PlotPanel, left: number, shareOf: (value: number) => number): string[] {
  const { points } = panel;
  const [right, bottom] = [left + PANEL.width, PANEL.top + PANEL.height];
  const x = linearScale(endsOf(points.map((point) => point.x)), { range: [left, right] });
  const y = yScale(panel);
  const placed = points.map((point) => ({ point, cx: x.at(point.x.mean), cy: y.at(point.y.mean) }));
  const sweep = placed
    .filter(({ point }) => point.order !== null)
    .sort((a, b) => (a.point.order ?? 0) - (b.point.order ?? 0));
  return [
    text(left, PANEL.top - 12, panel.title, 'class="panel"'),
    ...drawAxes(x, y, { left, top: PANEL.top, right, bottom }),
    ...(sweep.length > 1
      ? [`<polyline class="sweep" points="${sweep.map(({ cx, cy }) => `${px(cx)},${px(cy)}`).join(' ')}"/>`]
      : []),
    ...placed.flatMap(({ point, cx, cy }) => drawErrorBars(point, x, y, cx, cy, bottom)),
    ...placed.map(
      ({ point, cx, cy }) =>
        `<circle class="point" cx="${px(cx)}" cy="${px(cy)}" r="${POINT_RADIUS}" fill="${colorOf(shareOf(point.color.mean))}"><title>${escapeXml(describe(point))}</title></circle>`,
    ),
    ...drawLabels(
      placed.map(({ point: { name }, cx, cy }) => ({ name, cx, cy })),
      { left, top: PANEL.top, right, bottom },
    ),
    text((left + right) / 2, bottom + 42, panel.xLabel, 'text-anchor="middle"'),
    text(
      0,
      0,
      panel.yLabel,
      `text-anchor="middle" transform="translate(${px(left - titleOffset(y))} ${(PANEL.top + bottom) / 2}) rotate(-90)"`,
    ),
  ];
}

/** One standard deviation to each side; a bar that would end at or below 0 on a logarithmic axis ends at the axis. */
function drawErrorBars(point: PlotPoint, x: Scale, y: Scale, cx: number, cy: number, bottom: number): string[] {
  const bars: string[] = [];
  if (point.x.std !== null) {
    const [from, to] = [x.at(point.x.mean - point.x.std), x.at(point.x.mean + point.x.std)];
    bars.push(`<line class="error" x1="${px(from)}" x2="${px(to)}" y1="${px(cy)}" y2="${px(cy)}"/>`);
  }
  if (point.y.std !== null) {
    const low = y.at(point.y.mean - point.y.std);
    const from = Number.isFinite(low) ? Math.min(low, bottom) : bottom;
    bars.push(
      `<line class="error" x1="${px(cx)}" x2="${px(cx)}" y1="${px(from)}" y2="${px(y.at(point.y.mean + point.y.std))}"/>`,
    );
  }
  return bars;
}

function drawLabels(points: readonly LabelledPoint[], frame: Box): string[] {
  return placeLabels(points, frame, POINT_RADIUS).flatMap(({ name, x, y, line }) => [
    ...(line === null
      ? []
      : [`<line class="error" x1="${px(line.x1)}" y1="${px(line.y1)}" x2="${px(line.x2)}" y2="${px(line.y2)}"/>`]),
    text(x, y, name, 'class="label"'),
  ]);
}

function drawColorBar(left: number, low: number, high: number, label: string): string[] {
  const steps = 48;
  const size = PANEL.height / steps;
  const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
  const middle = PANEL.top + PANEL.height / 2;
  return [
    text(left, PANEL.top - 12, label, 'class="muted"'),
    ...Array.from({ length: steps }, (_, i) => {
      const share = 1 - (i + 0.5) / steps;
      const y = px(PANEL.top + i * size);
      return `<rect x="${left}" y="${y}" width="${BAR.width}" height="${px(size + 0.5)}" fill="${colorOf(high > low ? share : 0.5)}"/>`;
    }),
    `<rect class="frame" x="${left}" y="${PANEL.top}" width="${BAR.width}" height="${PANEL.height}"/>`,
    text(left + BAR.width + 6, PANEL.top + 10, percent(high)),
    ...(high > low ? [text(left + BAR.width + 6, middle + 4, percent((low + high) / 2))] : []),
    text(left + BAR.width + 6, PANEL.top + PANEL.height, percent(low)),
  ];
}

function describe({ name, color, x, y }: PlotPoint): string {
  const spread = ({ mean, std }: Spread, digits: number): string =>
    `${mean.toPrecision(digits)}${std === null ? '' : ` ± ${std.toPrecision(2)}`}`;
  return `${name}: accuracy ${spread(color, 4)}, x ${spread(x, 4)}, y ${spread(y, 3)} (n = ${color.n})`;
}
