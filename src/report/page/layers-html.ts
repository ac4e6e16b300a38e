/** Sizes and speed of layers on a page. */

import { formatBytes, formatCount, threeDigits } from '../format.ts';
import { bar, type CellContent, escapeHtml, type Html, table } from './html.ts';

export interface LayerRow {
  readonly name: string;
  readonly op: string;
  readonly input: string;
  readonly output: string;
  /** Per weight; null without parameters. */
  readonly bits: number | null;
  readonly parameters: number;
  /** In deployed form. */
  readonly bytes: number;
  /** For one picture; null where a shape is not known. */
  readonly binaryMacs: number | null;
  readonly floatMacs: number | null;
  /** Null where it is not known. */
  readonly microseconds: number | null;
}

export interface LayerTable {
  readonly rows: readonly LayerRow[];
  /** Of nodes that belong to no layer: pooling, layouts. Null where nothing was measured. */
  readonly otherMicroseconds: number | null;
  /** How it was measured, or why not. */
  readonly remark: string;
}

export function layersHtml({ rows, otherMicroseconds }: LayerTable, label: string): Html {
  const isTimed = otherMicroseconds !== null;
  const total = (of: (row: LayerRow) => number | null): number => rows.reduce((sum, row) => sum + (of(row) ?? 0), 0);
  const [bytes, time] = [total((row) => row.bytes), total((row) => row.microseconds) + (otherMicroseconds ?? 0)];
  const timeCell = (value: number | null): CellContent =>
    value === null ? '-' : bar(time === 0 ? 0 : value / time, `${threeDigits(value)} µs`);
  return table({
    label,
    head: [
      'layer',
      { html: 'operator', className: 'text' },
      'bits',
      'parameters',
      'size',
      ...(isTimed ? ['time'] : []),
      'binary multiply-adds',
      'float multiply-adds',
      { html: 'input → output', className: 'text' },
    ],
    rows: [
      ...rows.map((row): CellContent[] => [
        row.name,
        { html: escapeHtml(row.op), className: 'text' },
        row.bits === null ? '-' : String(row.bits),
        formatCount(row.parameters),
        bar(bytes === 0 ? 0 : row.bytes / bytes, formatBytes(row.bytes)),
        ...(isTimed ? [timeCell(row.microseconds)] : []),
        formatCount(row.binaryMacs),
        formatCount(row.floatMacs),
        { html: escapeHtml(`${row.input} → ${row.output}`), className: 'text' },
      ]),
      ...(isTimed ? [['all others: pooling, layouts', '', '', '', '', timeCell(otherMicroseconds), '', '', '']] : []),
    ],
    foot: [
      'total',
      '',
      '',
      formatCount(total((row) => row.parameters)),
      formatBytes(bytes),
      ...(isTimed ? [`${threeDigits(time)} µs`] : []),
      formatCount(total((row) => row.binaryMacs)),
      formatCount(total((row) => row.floatMacs)),
      '',
    ],
  });
}
