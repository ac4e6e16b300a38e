/** What `bnn compare` prints. */

import type { Spread } from '../../core/statistics.ts';
import { formatPercent, plural } from '../../report/format.ts';
import { type Column, formatTable } from '../../report/table.ts';
import type { Arm, ArmResult, ArmRun, Measure, TuningRate } from '../../training/comparison.ts';
import type { Comparison } from '../../training/run-comparison-io.ts';

export function formatTuned(arm: Arm, tried: readonly TuningRate[], lr: number): string {
  const rates = tried.map((rate) => `${rate.lr}: ${formatPercent(rate.validationTop1)}`).join(', ');
  return `${arm.name}: lr ${lr}, by held-out pictures (${rates})`;
}

export function formatRun(count: number, total: number, arm: Arm, run: ArmRun, isNew: boolean): string {
  const what = `${String(count).padStart(String(total).length)}/${total}  ${arm.name} seed ${run.seed}`;
  return `${what}: test ${formatPercent(run.testTop1)}, ${isNew ? `${run.seconds.toFixed(1)} s` : 'done before'}`;
}

interface ArmColumn extends Column {
  readonly cell: (arm: ArmResult) => string;
}

const missing = '-';
const percentSpread = (spread: Spread | null, sign = ''): string => {
  if (spread === null) return missing;
  const lead = spread.mean > 0 ? sign : '';
  return `${lead}${(100 * spread.mean).toFixed(2)}${spread.std === null ? '' : ` ± ${(100 * spread.std).toFixed(2)}`}`;
};
const percentSize = (value: number | null): string => (value === null ? missing : (100 * value).toFixed(2));
const formatInterval = (interval: readonly [number, number] | null): string =>
  interval === null ? missing : interval.map((end) => (100 * end).toFixed(2)).join(' … ');
const formatP = (p: number | null): string => (p === null ? missing : p < 0.001 ? '< 0.001' : p.toFixed(3));
const measured = (measure: Measure, format: (value: number) => string) => (arm: ArmResult) => {
  const { mean } = arm.spread[measure] ?? {};
  return mean === undefined ? missing : format(mean);
};

const COLUMNS: readonly ArmColumn[] = [
  { title: 'arm', cell: ({ name }) => name },
  { title: 'n', align: 'right', cell: ({ runs }) => String(runs.length) },
  { title: 'test %', align: 'right', cell: ({ spread }) => percentSpread(spread.testTop1) },
  {
    title: 'lr',
    align: 'right',
    cell: ({ tuning, overrides }) => (tuning === null ? missing : String(overrides['lr'])),
  },
  { title: 'less the first', align: 'right', cell: ({ difference }) => percentSpread(difference, '+') },
  { title: '95 % interval', align: 'right', cell: ({ difference }) => formatInterval(difference?.interval ?? null) },
  { title: 'p (Holm)', align: 'right', cell: ({ difference }) => formatP(difference?.holmP ?? null) },
  { title: 'visible', align: 'right', cell: ({ difference }) => percentSize(difference?.detectable ?? null) },
  { title: 'train loss', align: 'right', cell: measured('trainLoss', (value) => value.toFixed(4)) },
  { title: 'error e', align: 'right', cell: measured('estimatingError', (value) => value.toFixed(1)) },
  { title: 'e/√n', align: 'right', cell: measured('errorPerWeight', (value) => value.toFixed(4)) },
  { title: 'stability s', align: 'right', cell: measured('gradientVariance', (value) => value.toExponential(2)) },
  { title: 'cv(|g|)', align: 'right', cell: measured('gradientVariation', (value) => value.toFixed(3)) },
  { title: 'flips %', align: 'right', cell: measured('flipRatio', (value) => (100 * value).toFixed(2)) },
  { title: 'a step %', align: 'right', cell: measured('stepFlipRate', (value) => (100 * value).toFixed(3)) },
  { title: 'back %', align: 'right', cell: measured('oscillation', (value) => (100 * value).toFixed(1)) },
  { title: 'never %', align: 'right', cell: measured('neverFlipped', (value) => (100 * value).toFixed(1)) },
  { title: 'H(sign)', align: 'right', cell: measured('signEntropy', (value) => value.toFixed(3)) },
];

/** The table, and how to read it. */
export function formatComparison({ arms, seeds, recipe }: Comparison): string {
  const shown = COLUMNS.filter(({ cell }) => arms.some((arm) => cell(arm) !== missing));
  const table = formatTable(
    shown,
    arms.map((arm) => shown.map(({ cell }) => cell(arm))),
  );
  const choice = recipe.validation > 0 ? 'the epoch that is best on the held-out pictures' : 'the last epoch';
  const contrasts = arms.filter(({ difference }) => difference?.p != null).length;
  return [
    table,
    '',
    `mean ± standard deviation over ${seeds.length} seeds; test accuracy of ${choice}; differences are between runs of the same seed`,
    ...(contrasts === 0
      ? []
      : [
          `intervals hold the difference with 95 % each, by Student's t; p is corrected for ${plural(contrasts, 'contrast')} (Holm)`,
          'visible: a true difference of this size would have been found with a probability of 80 %',
        ]),
    ...arms.flatMap(edgeNote),
  ].join('\n');
}

/** Where the best rate is the smallest or the largest that was tried, a better one may lie beyond. */
function edgeNote({ name, tuning, overrides }: ArmResult): string[] {
  const rates = tuning?.map(({ lr }) => lr) ?? [];
  const isEdge = overrides['lr'] === Math.min(...rates) || overrides['lr'] === Math.max(...rates);
  return isEdge ? [`${name}: the best learning rate is at the end of those tried, ${overrides['lr']}; try more`] : [];
}
