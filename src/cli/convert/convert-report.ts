/** What `bnn-convert` prints. */

import type { RestReport } from '../../compiler/report.ts';
import type { SignReport } from '../../convert/signs/sign-log.ts';
import { PLUS_ADVICE } from '../../convert/verdict/data-levels.ts';
import type { LayerVerdict, VerdictKind } from '../../convert/verdict/verdict.ts';
import { formatCount, formatDifference, formatPercent } from '../../report/format.ts';
import { type Column, formatPairs, formatTable } from '../../report/table.ts';
import type { Check } from '../../tasks/convert-check.ts';
import { isWorthARow, restReason, SIZE_COLUMNS, sizeCells, totalSizes } from '../size-report.ts';

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

export function formatVerdicts(layers: readonly LayerVerdict[], rest: RestReport): string {
  const rows = layers.map((layer) => [
    clip(layer.name),
    layer.source,
    layer.kind,
    layer.kind === 'removed' ? '-' : `${layer.weightBits}/${layer.dataBits}`,
    layer.shape?.join('×') ?? '-',
    ...sizeCells(layer),
    reasonOf(layer),
  ]);
  const restRow = ['other constants', '', '', '', '', ...sizeCells(rest), restReason(rest)];
  const all = [...rows, ...(isWorthARow(rest) ? [restRow] : [])];
  return formatTable(COLUMNS, all, [
    ['total', '', countKinds(layers), '', '', ...sizeCells(totalSizes([...layers, rest]))],
  ]);
}

function reasonOf({ reason, sharedWith }: LayerVerdict): string {
  if (sharedWith === null) return reason;
  const shared = `the weights of ${clip(sharedWith)}`;
  return reason === '' ? shared : `${reason}; ${shared}`;
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

/** Lines about the signs that are as in the source; the changes are listed elsewhere. */
export function signNotes({ ternary, neverZero }: SignReport, layers: readonly LayerVerdict[]): string[] {
  const notes: string[] = [];
  if (ternary.length > 0) {
    // Advice that would change no layer is none.
    const isOfUse = layers.some(({ reason }) => reason.includes(PLUS_ADVICE));
    const advice = isOfUse ? ` (${PLUS_ADVICE})` : '';
    notes.push(`${ternary.length} signs give 0 at 0 and stay ternary${advice}: ${list(ternary)}`);
  }
  if (neverZero.length > 0) notes.push(`${neverZero.length} signs never meet 0, which was proved: ${list(neverZero)}`);
  return notes;
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 4).map(clip).join(', ');
  return names.length > 4 ? `${shown}, …` : shown;
}

export function formatCheck({ inputs, from, agreements }: Check): string {
  return formatPairs(
    agreements.map(({ name, maxDifference, changed, beyond, tolerance }) => [
      name,
      `${formatCount(inputs)} ${from}: largest difference ${formatDifference(maxDifference)}, same arg-max ${formatPercent(1 - changed / inputs)}, ${formatCount(beyond)} beyond ${formatDifference(tolerance)}`,
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
