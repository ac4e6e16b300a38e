/** A confusion matrix and the accuracy by class on a page. */

import { type Confusion, confusedPairs, precisionOf, recallOf, sum } from '../confusion.ts';
import { formatCount, formatPercent } from '../format.ts';
import { bar, type CellContent, details, escapeHtml, type Html, quiet, table } from './html.ts';

/** Beyond, the numbers of a matrix cannot be read. */
export const MOST_CELLS = 30;
const MOST_PAIRS = 25;
/** Beyond, classes are sorted, worst first. */
const MANY_CLASSES = 20;

/** The matrix, as numbers. */
export function confusionMatrix({ classes, counts }: Confusion, label: string): Html {
  const long = classes.some((name) => [...name].length > 6);
  const turned = (name: string): CellContent =>
    long ? { html: `<div class="turned">${escapeHtml(name)}</div>` } : name;
  return table({
    label,
    className: 'matrix',
    head: ['is \\ taken for', ...classes.map(turned)],
    rows: counts.map((row, i) => {
      const all = Math.max(1, sum(row));
      return [
        classes[i] ?? String(i),
        ...row.map((count, k): CellContent => {
          const kind = i === k ? 'right' : count === 0 ? 'zero' : '';
          return { html: formatCount(count), className: kind, style: `--share:${Math.sqrt(count / all).toFixed(2)}` };
        }),
      ];
    }),
  });
}

/** Darkness of each cell of a matrix too large for numbers, u8[classes][classes]; the root makes single mistakes visible. */
export function confusionInk({ counts }: Confusion): Uint8Array {
  return Uint8Array.from(
    counts.flatMap((row) => {
      const all = Math.max(1, sum(row));
      return row.map((count) => Math.round(255 * Math.sqrt(count / all)));
    }),
  );
}

/** @param address  of a picture of `confusionInk`. */
export function confusionHeat({ classes }: Confusion, address: string, label: string): Html {
  const text = `${label}: ${classes.length} classes; rows are what pictures are, columns what they were taken for, in the order of the classes. The darker, the more; on the diagonal they are right.`;
  return `<figure class="heat"><img src="${address}" alt="${escapeHtml(text)}"><figcaption class="quiet">${escapeHtml(text)}</figcaption></figure>`;
}

export function confusedPairsTable(confusion: Confusion, label: string): Html {
  const pairs = confusedPairs(confusion, MOST_PAIRS);
  if (pairs.length === 0) return quiet('Nothing is confused.');
  return table({
    label,
    caption: true,
    head: ['is', { html: 'taken for', className: 'text' }, 'pictures', 'of its class'],
    rows: pairs.map(({ label: is, decision, count, share }) => [
      is,
      { html: escapeHtml(decision), className: 'text' },
      formatCount(count),
      bar(share, formatPercent(share, 1)),
    ]),
  });
}

export interface NamedConfusion extends Confusion {
  readonly name: string;
}

/** One row a class. Of one run with precision, of several side by side. */
export function accuracyByClass(runs: readonly NamedConfusion[]): Html {
  const [first] = runs;
  if (first === undefined) return '';
  const recalls = runs.map(recallOf);
  const order = first.classes.map((_, i) => i);
  const isSorted = order.length > MANY_CLASSES;
  if (isSorted) order.sort((a, b) => (recalls[0]?.[a] ?? 2) - (recalls[0]?.[b] ?? 2));
  const precision = precisionOf(first);
  const isOne = runs.length === 1;
  const rows = order.map((i): CellContent[] => [
    first.classes[i] ?? String(i),
    formatCount(sum(first.counts[i] ?? [])),
    ...recalls.map((recall) => bar(recall[i] ?? null, formatPercent(recall[i] ?? null, 1))),
    ...(isOne ? [bar(precision[i] ?? null, formatPercent(precision[i] ?? null, 1))] : []),
  ]);
  const whole = (shown: readonly (readonly CellContent[])[], label: string): Html =>
    table({
      label,
      head: ['class', 'pictures', ...(isOne ? ['recognized', 'right where named'] : runs.map(({ name }) => name))],
      rows: shown,
    });
  const order2 = isSorted ? `, the worst${isOne ? '' : ` of ${first.name}`} first` : '';
  const head = quiet(`Share of the pictures of each class that are recognized${order2}.`);
  if (!isSorted) return `${head}\n${whole(rows, 'accuracy by class')}`;
  return `${head}\n${whole(rows.slice(0, MANY_CLASSES), 'accuracy by class: the worst')}\n${details(`All ${rows.length} classes`, whole(rows, 'accuracy by class: all'))}`;
}
