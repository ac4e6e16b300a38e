/** What `bnn-convert` prints. */

import type { SignReport } from '../convert/sign-log.ts';
import type { LayerVerdict, VerdictKind } from '../convert/verdict.ts';
import { formatCount, formatDifference, formatPercent } from '../report/format.ts';
import { type Column, formatPairs, formatTable } from '../report/table.ts';
import type { Check } from './convert-check.ts';
import { SIZE_COLUMNS, sizeCells, totalSizes } from './size-report.ts';

const COLUMNS: readonly Column[] = [
  { title: 'layer' },
  { title: 'was' },
  { title: 'verdict' },
  { title: 'bits w/a', align: 'right' },
  { title: 'weights', align: 'right' },
  ...SIZE_COLUMNS,
  { title: 'reason' },
];

const LONGEST_NAME = 40;

export function formatVerdicts(layers: readonly LayerVerdict[]): string {
  const rows = layers.map((layer) => [
    clip(layer.name),
    layer.source,
    layer.kind,
    layer.kind === 'removed' ? '-' : `${layer.weightBits}/${layer.dataBits}`,
    layer.shape?.join('×') ?? '-',
    ...sizeCells(layer),
    layer.reason,
  ]);
  return formatTable(COLUMNS, rows, [['total', '', countKinds(layers), '', '', ...sizeCells(totalSizes(layers))]]);
}

/** The end of a long name says more than its beginning. */
function clip(name: string): string {
  return name.length > LONGEST_NAME ? `…${name.slice(1 - LONGEST_NAME)}` : name;
}

export function countKinds(layers: readonly LayerVerdict[]): string {
  const counts = new Map<VerdictKind, number>();
  for (const { kind } of layers) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return Array.from(counts, ([kind, count]) => `${count} ${kind}`).join(', ');
}

/** Lines about what is not exactly as in the source; empty when everything is. */
export function signNotes({ ternary, neverZero, changed }: SignReport): string[] {
  const notes: string[] = [];
  if (ternary.length > 0) {
    notes.push(`${ternary.length} signs give 0 at 0 and stay ternary (--sign-zero plus accepts +1): ${list(ternary)}`);
  }
  if (changed.length > 0) notes.push(`${changed.length} signs gave 0 at 0 and now give +1: ${list(changed)}`);
  if (neverZero.length > 0) notes.push(`${neverZero.length} signs never meet 0, which was proved: ${list(neverZero)}`);
  return notes;
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 4).map(clip).join(', ');
  return names.length > 4 ? `${shown}, …` : shown;
}

export function formatCheck({ inputs, from, agreements }: Check): string {
  return formatPairs(
    agreements.map(({ name, maxDifference, changed }) => [
      name,
      `${formatCount(inputs)} ${from}: largest difference ${formatDifference(maxDifference)}, same arg-max ${formatPercent(1 - changed / inputs)}`,
    ]),
  );
}

export function formatWhatIf({ inputs, from, agreements }: Check): string {
  return formatPairs(
    agreements.map(({ name, changed }) => [
      name,
      `${formatCount(changed)} of ${formatCount(inputs)} ${from} get another arg-max (${formatPercent(changed / inputs)})`,
    ]),
  );
}
