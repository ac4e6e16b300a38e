/** The arms of a comparison as a table, and how to read it. */

import type { Spread } from '../core/numbers/statistics.ts';
import { ESTIMATORS, type EstimatorRow } from '../estimators/table.ts';
import { plural } from '../report/format.ts';
import type { Column } from '../report/table.ts';
import type { ArmResult, Judge, Measure } from '../training/comparison/comparison.ts';

export type ComparedArm = Omit<ArmResult, 'disagreements'>;

export interface ComparisonTable {
  /** What none of the arms has is left out. */
  readonly columns: readonly Column[];
  /** A row an arm. */
  readonly rows: readonly (readonly string[])[];
  readonly remarks: readonly string[];
}

interface ArmColumn extends Column {
  readonly cell: (arm: ComparedArm) => string;
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
const measured = (measure: Measure, format: (value: number) => string) => (arm: ComparedArm) => {
  const { mean } = arm.spread[measure] ?? {};
  return mean === undefined ? missing : format(mean);
};

const ACCURACY: Readonly<Record<Judge, ArmColumn>> = {
  test: { title: 'test %', align: 'right', cell: ({ spread }) => percentSpread(spread.testTop1) },
  'held-out': { title: 'held-out %', align: 'right', cell: ({ spread }) => percentSpread(spread.validationTop1) },
};

const columnsOf = (judge: Judge): readonly ArmColumn[] => [
  { title: 'arm', cell: ({ name }) => name },
  { title: 'n', align: 'right', cell: ({ runs }) => String(runs.length) },
  {
    title: 'diverged',
    align: 'right',
    cell: ({ diverged }) => (diverged.length === 0 ? missing : String(diverged.length)),
  },
  ACCURACY[judge],
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

export interface TableOptions {
  readonly seeds: readonly number[];
  /** Whether epochs were chosen by held-out pictures. */
  readonly heldOut: boolean;
  /** By which accuracy arms are compared; the test pictures unless told. */
  readonly judge?: Judge | undefined;
  /** In what the runs differ besides their recipes. */
  readonly notes?: readonly string[] | undefined;
}

export function comparisonTable(
  arms: readonly ComparedArm[],
  { seeds, heldOut, judge = 'test', notes = [] }: TableOptions,
): ComparisonTable {
  const columns = columnsOf(judge).filter(({ cell }) => arms.some((arm) => cell(arm) !== missing));
  const choice = heldOut ? 'the epoch that is best on the held-out pictures' : 'the last epoch';
  const contrasts = arms.filter(({ difference }) => difference?.p != null).length;
  return {
    columns,
    rows: arms.map((arm) => columns.map(({ cell }) => cell(arm))),
    remarks: [
      `mean ± standard deviation over ${seedsOf(arms, seeds)}; ${judge === 'test' ? 'test accuracy' : 'accuracy on held-out pictures'} of ${choice}; differences are between runs of the same seed`,
      ...(contrasts === 0
        ? []
        : [
            `intervals hold the difference with 95 % each, by Student's t; p is corrected for ${plural(contrasts, 'contrast')} (Holm)`,
            'visible: a true difference of this size would have been found with a probability of 80 %',
          ]),
      ...arms.flatMap(spreadNote),
      ...arms.flatMap(divergedNotes),
      ...arms.flatMap(edgeNote),
      ...epochsNote(arms),
      ...slopesNote(arms),
      ...notes,
    ],
  };
}

function seedsOf(arms: readonly ComparedArm[], seeds: readonly number[]): string {
  const areAll = arms.every(({ runs }) => runs.length === seeds.length);
  return areAll ? plural(seeds.length, 'seed') : `the n of ${plural(seeds.length, 'seed')} that an arm has`;
}

/** As happens with few test pictures and few seeds. */
function spreadNote({ name, difference }: ComparedArm): string[] {
  const isSame = difference !== null && difference.n > 1 && difference.interval === null;
  return isSame ? [`${name}: the difference is the same with every seed, so nothing tells how sure it is`] : [];
}

/** What is summed up over epochs, as in the paper, depends on how many there are. */
function epochsNote(arms: readonly ComparedArm[]): string[] {
  const epochs = new Set(arms.flatMap(({ runs }) => runs.map((run) => run.epochs)));
  const hasSums = arms.some(({ spread }) => spread.gradientVariance !== null);
  return epochs.size > 1 && hasSums
    ? ['stability s is a sum over epochs, and the runs have different numbers of them']
    : [];
}

/** An estimator's name stands for its slope; of most methods that is not all. */
function slopesNote(arms: readonly ComparedArm[]): string[] {
  const partial = arms.filter(({ overrides }) => {
    const named = ['estimator', 'weightEstimator', 'activationEstimator'].map((field) => overrides[field]);
    const rows = ESTIMATORS.filter(({ name }) => named.includes(name));
    return !('weightTransform' in overrides) && rows.some((row: EstimatorRow) => row.slopeOnly !== undefined);
  });
  if (partial.length === 0) return [];
  const names = partial.map(({ name }) => name).join(', ');
  return [`of the methods behind ${names} it is the slope alone; what belongs to them besides: docs/methods.md`];
}

/** What is left of an arm shows it better than it is. */
function divergedNotes({ name, tuning, diverged }: ComparedArm): string[] {
  const seeds = diverged.map(({ seed }) => seed);
  const rates = (tuning ?? []).filter(({ validationTop1 }) => validationTop1 === null).map(({ lr }) => lr);
  return [
    ...(seeds.length === 0
      ? []
      : [
          `${name}: training diverged with seed ${seeds.join(', ')}; left out of means and differences, which show the arm better than it is`,
        ]),
    ...(rates.length === 0 ? [] : [`${name}: training diverged with learning rate ${rates.join(', ')}`]),
  ];
}

/** Where the best rate is the smallest or the largest that was tried, a better one may lie beyond. */
function edgeNote({ name, tuning, overrides }: ComparedArm): string[] {
  const rates = tuning?.map(({ lr }) => lr) ?? [];
  const isEdge = overrides['lr'] === Math.min(...rates) || overrides['lr'] === Math.max(...rates);
  return isEdge ? [`${name}: the best learning rate is at the end of those tried, ${overrides['lr']}; try more`] : [];
}
