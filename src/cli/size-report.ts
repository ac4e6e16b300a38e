/** Sizes of a packed model as `bnn-convert` and `bnn-export --explain` print them. */

import type { RestReport } from '../compiler/report.ts';
import { addSizes, type Sizes } from '../compiler/sizes.ts';
import type { SessionMemory } from '../inference/measure-sessions-io.ts';
import { formatBytes } from '../report/format.ts';
import type { Column } from '../report/table.ts';
import { LEAST_PARAMETER_BYTES } from '../rewriting/layers/layers.ts';

export interface LayerSizes {
  readonly bytesBefore: number;
  readonly sizes: Sizes;
}

/** Columns of a table of layers; `sizeCells` fills them. */
export const SIZE_COLUMNS: readonly Column[] = ['before', 'ideal', 'file', 'RAM stock', 'RAM ops'].map((title) => ({
  title,
  align: 'right',
}));

export function sizeCells({ bytesBefore, sizes }: LayerSizes): string[] {
  const { idealBits, fileBytes, stockBytes, opsBytes } = sizes;
  return [bytesBefore, idealBits / 8, fileBytes, stockBytes, opsBytes].map(formatBytes);
}

/** The last row of such a table. */
export function totalSizes(layers: readonly LayerSizes[]): LayerSizes {
  const bytesBefore = layers.reduce((sum, layer) => sum + layer.bytesBefore, 0);
  return { bytesBefore, sizes: addSizes(layers.map(({ sizes }) => sizes)) };
}

/** Smaller ones are not worth a row. */
export function isWorthARow({ bytesBefore, sizes }: LayerSizes): boolean {
  return Math.max(bytesBefore, sizes.fileBytes) > LEAST_PARAMETER_BYTES;
}

const MOST_OPERATORS = 4;

/** Whose constants are in no layer. */
export function restReason({ operators }: RestReport): string {
  if (operators.length === 0) return 'folded into the layers';
  const shown = operators.slice(0, MOST_OPERATORS).join(', ');
  return `of ${shown}${operators.length > MOST_OPERATORS ? ', …' : ''}`;
}

export interface FileSizes {
  readonly sourceBytes: number;
  readonly packedBytes: number;
}

/** Of the whole model; `measured` is undefined when nobody asked, null where it cannot be done. */
export function sizeLines(
  { sourceBytes, packedBytes }: FileSizes,
  { idealBits, stockBytes, opsBytes }: Sizes,
  measured?: SessionMemory | null,
): [string, string][] {
  const lines: [string, string][] = [
    [
      'file',
      `${formatBytes(sourceBytes)} before, ${formatBytes(packedBytes)} packed; ideal ${formatBytes(idealBits / 8)}: one bit per binary weight, 32 per other parameter`,
    ],
    [
      'memory',
      `constants computed: ${formatBytes(stockBytes)} in a stock onnxruntime, which unpacks to float32; ${formatBytes(opsBytes)} with our op library`,
    ],
  ];
  if (measured === null) lines.push(['measured', 'nothing: only Linux tells a process its size']);
  else if (measured !== undefined) {
    const ops =
      measured.opsBytes === null ? 'our op library is not built' : `${formatBytes(measured.opsBytes)} with it`;
    lines.push([
      'measured',
      `private memory above an empty session: ${formatBytes(measured.stockBytes)} in a stock onnxruntime; ${ops}`,
    ]);
  }
  return lines;
}
