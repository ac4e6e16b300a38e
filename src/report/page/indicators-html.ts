/** Indicators by layer and epoch on a page: a small curve for each, and the numbers. */

import { formatCount } from '../format.ts';
import { formatNumber } from '../plot-lines.ts';
import { px } from '../svg.ts';
import { type Cell, details, escapeHtml, type Html, quiet, table } from './html.ts';

export interface Indicator {
  readonly title: string;
  /** What it is, in a sentence. */
  readonly meaning: string;
  /** By layer, then by epoch; null where there is none. */
  readonly values: readonly (readonly (number | null)[])[];
}

export interface IndicatorTable {
  readonly layers: readonly { readonly name: string; readonly weights: number }[];
  /** Counting from 1. */
  readonly epochs: readonly number[];
  readonly indicators: readonly Indicator[];
}

const [WIDTH, HEIGHT, INSET] = [88, 22, 3];
/** Columns of the table of numbers: more are thinned out. */
const MOST_EPOCHS = 16;
/** Of a small curve: finer than the picture shows. */
const MOST_POINTS = 4 * WIDTH;

export function indicatorsHtml({ layers, epochs, indicators }: IndicatorTable, label: string): Html {
  const shown = indicators.filter(({ values }) => values.some((row) => row.some((value) => value !== null)));
  const last = epochs.at(-1) ?? 1;
  const list = shown.map(({ title, meaning }) => `<li><b>${escapeHtml(title)}</b>: ${escapeHtml(meaning)}</li>`);
  const columns = thinned(epochs.length, MOST_EPOCHS);
  const numbers = shown.map(({ title, values }) =>
    table({
      label: `${title}, by layer and epoch`,
      caption: true,
      head: ['layer', ...columns.map((k) => `epoch ${epochs[k]}`)],
      rows: layers.map(({ name }, i) => [name, ...columns.map((k) => numberOf(values[i]?.[k] ?? null))]),
    }),
  );
  return [
    quiet(
      `Each curve goes from epoch ${epochs[0] ?? 1} to epoch ${last}, over its own range; beside it are the first and the last number.`,
    ),
    table({
      label,
      head: ['layer', 'weights', ...shown.map(({ title }) => title)],
      rows: layers.map(({ name, weights }, i) => [
        name,
        formatCount(weights),
        ...shown.map(({ values }) => sparkCell(values[i] ?? [])),
      ]),
    }),
    `<ul class="quiet">${list.join('')}</ul>`,
    details('The numbers of the epochs', numbers.join('\n<p></p>\n')),
  ].join('\n');
}

function sparkCell(values: readonly (number | null)[]): Cell {
  const known = values.filter((value): value is number => value !== null && Number.isFinite(value));
  const [first, last] = [known[0], known.at(-1)];
  if (first === undefined || last === undefined) return { html: '-' };
  const text = known.length === 1 ? formatNumber(last) : `${formatNumber(first)} → ${formatNumber(last)}`;
  return { html: `${sparkline(values)} ${escapeHtml(text)}` };
}

/** Hidden from readers of the screen: the numbers stand beside it. */
function sparkline(values: readonly (number | null)[]): Html {
  const points = thinned(values.length, MOST_POINTS).flatMap((x) => {
    const y = values[x] ?? null;
    return y === null || !Number.isFinite(y) ? [] : [{ x, y }];
  });
  const ys = points.map(({ y }) => y);
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const at = ({ x, y }: { x: number; y: number }): [number, number] => [
    INSET + (values.length > 1 ? x / (values.length - 1) : 0.5) * (WIDTH - 2 * INSET),
    INSET + (high > low ? (high - y) / (high - low) : 0.5) * (HEIGHT - 2 * INSET),
  ];
  const line = points.map((point) => at(point).map(px).join(',')).join(' ');
  const end = points.at(-1);
  const [cx, cy] = end === undefined ? [0, 0] : at(end);
  return `<svg class="spark" viewBox="0 0 ${WIDTH} ${HEIGHT}" aria-hidden="true"><polyline points="${line}"/><circle cx="${px(cx)}" cy="${px(cy)}" r="2.2"/></svg>`;
}

/** At most so many of `count`, evenly, with the first and the last. */
function thinned(count: number, most: number): number[] {
  const step = Math.max(1, (count - 1) / (most - 1));
  return Array.from({ length: Math.min(count, most) }, (_, i) => Math.round(i * step));
}

function numberOf(value: number | null): string {
  return value === null ? '-' : formatNumber(value);
}
