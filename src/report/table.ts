/** Text tables of fixed width. Cells are shown on one line, whatever they hold. */

import { visible } from './visible-text.ts';

export interface Column {
  readonly title: string;
  /** `right` for numbers; `left` unless told. */
  readonly align?: 'left' | 'right';
  /** At least so many characters, for tables that are printed row by row. */
  readonly width?: number;
}

/** Columns of texts, and behind them columns of numbers, by their titles. */
export function columns(texts: readonly string[], numbers: readonly string[]): Column[] {
  return [...texts.map((title) => ({ title })), ...numbers.map((title) => ({ title, align: 'right' as const }))];
}

/** Characters on the terminal; everything here is printed with one column per code point. */
function widthOf(text: string): number {
  return [...text].length;
}

/** A list may be longer than an argument list. */
function widest(texts: readonly string[], least = 0): number {
  return texts.reduce((width, text) => Math.max(width, widthOf(text)), least);
}

function pad(text: string, width: number, align: Column['align']): string {
  const space = ' '.repeat(Math.max(0, width - widthOf(text)));
  return align === 'right' ? space + text : text + space;
}

/** One row of a table that is printed as it grows: `| 1 | 0.5 |`. Columns need a width; longer cells push the rest aside. */
export function formatRow(columns: readonly Column[], cells: readonly string[]): string {
  const padded = columns.map(({ title, align, width = 0 }, i) =>
    pad(visible(cells[i] ?? ''), Math.max(width, widthOf(title)), align),
  );
  return `| ${padded.join(' | ')} |`;
}

/** The titles of such a table. */
export function formatHeader(columns: readonly Column[]): string {
  return formatRow(
    columns,
    columns.map(({ title }) => title),
  );
}

/**
 * A whole table: titles, a rule, rows, and after another rule the rows of the footer. Columns are as wide as their widest cell;
 * nothing follows the last character of a line.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  footer: readonly (readonly string[])[] = [],
): string {
  const titles = columns.map(({ title }) => title);
  const shown = rows.map((row) => row.map(visible));
  const shownFooter = footer.map((row) => row.map(visible));
  const widths = columns.map(({ width = 0 }, i) =>
    widest(
      [titles, ...shown, ...shownFooter].map((row) => row[i] ?? ''),
      width,
    ),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, i) => pad(cells[i] ?? '', widths[i] ?? 0, align))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  const lines = [line(titles), rule, ...shown.map(line)];
  if (footer.length > 0) lines.push(rule, ...shownFooter.map(line));
  return lines.join('\n');
}

/** Names and values, one pair a line, values in one column. */
export function formatPairs(pairs: readonly (readonly [name: string, value: string])[]): string {
  const shown = pairs.map(([name, value]) => [visible(name), visible(value)] as const);
  const width = widest(shown.map(([name]) => name));
  return shown.map(([name, value]) => `${pad(name, width, 'left')}  ${value}`.trimEnd()).join('\n');
}
