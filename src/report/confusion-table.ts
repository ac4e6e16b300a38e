/** A confusion matrix for a terminal of 80 columns. */

import { type Confusion, confusedPairs, recallOf } from './confusion.ts';
import { formatPercent, plural } from './format.ts';
import { formatTable } from './table.ts';

const COLUMNS = 80;
const GAP = 2;
const LEAST_NAME = 6;
const MOST_PAIRS = 20;

/** The matrix where it fits, and else the pairs that are confused most often. */
export function formatConfusion(confusion: Confusion): string {
  const { classes, counts } = confusion;
  const titles = classes.map((_, i) => String(i));
  const widths = titles.map((title, k) => Math.max(title.length, ...counts.map((row) => String(row[k] ?? 0).length)));
  const fixed = widths.reduce((total, width) => total + GAP + width, 0) + GAP + 'right'.length + 3;
  const room = COLUMNS - fixed - titles.length.toString().length - 1;
  if (room < LEAST_NAME) return formatPairsOf(confusion);
  const recall = recallOf(confusion);
  const table = formatTable(
    [
      { title: 'is' },
      ...titles.map((title) => ({ title, align: 'right' as const })),
      { title: 'right', align: 'right' },
    ],
    counts.map((row, i) => [
      classes[i] === String(i) ? String(i) : `${i} ${shorten(classes[i] ?? '', room)}`,
      ...row.map((count) => (count === 0 ? '.' : String(count))),
      formatPercent(recall[i] ?? null, 1),
    ]),
  );
  return `${table}\nrows: what a picture is; columns: what it was taken for`;
}

function formatPairsOf(confusion: Confusion): string {
  const { classes, counts } = confusion;
  const kinds = counts.reduce((total, row, i) => total + row.filter((count, k) => count > 0 && k !== i).length, 0);
  if (kinds === 0) return 'nothing is confused';
  const pairs = confusedPairs(confusion, MOST_PAIRS);
  const room = Math.floor((COLUMNS - 30) / 2);
  const table = formatTable(
    [
      { title: 'is' },
      { title: 'taken for' },
      { title: 'pictures', align: 'right' },
      { title: 'of its class', align: 'right' },
    ],
    pairs.map(({ label, decision, count, share }) => [
      shorten(label, room),
      shorten(decision, room),
      String(count),
      formatPercent(share, 1),
    ]),
  );
  const which =
    kinds > pairs.length ? `the ${pairs.length} most frequent of ${plural(kinds, 'confusion')}` : 'all confusions';
  return `${table}\n${which}\n--json has the whole matrix of ${classes.length} classes`;
}

function shorten(name: string, room: number): string {
  const letters = [...name];
  return letters.length <= room ? name : `${letters.slice(0, room - 1).join('')}…`;
}
