/** What `bnn compare` prints. */

import { formatPercent } from '../../report/format.ts';
import { formatTable } from '../../report/table.ts';
import { comparisonTable } from '../../tasks/compare-table.ts';
import {
  type Arm,
  type ArmRun,
  type DivergedRun,
  type Judge,
  judged,
  type TuningRate,
} from '../../training/comparison/comparison.ts';
import type { Comparison } from '../../training/comparison/run-comparison-io.ts';

export function formatTuned(arm: Arm, tried: readonly TuningRate[], lr: number): string {
  const rates = tried.map((rate) => `${rate.lr}: ${rateOutcome(rate)}`).join(', ');
  return `${arm.name}: lr ${lr}, by held-out pictures (${rates})`;
}

function rateOutcome({ validationTop1 }: TuningRate): string {
  return validationTop1 === null ? 'diverged' : formatPercent(validationTop1);
}

export function formatRun(count: number, total: number, arm: Arm, run: ArmRun, isNew: boolean, judge: Judge): string {
  const accuracy = `${judge} ${formatPercent(run[judged(judge)] ?? Number.NaN)}`;
  return `${whichRun(count, total, arm, run)}: ${accuracy}, ${isNew ? `${run.seconds.toFixed(1)} s` : 'done before'}`;
}

export function formatDiverged(count: number, total: number, arm: Arm, run: DivergedRun, isNew: boolean): string {
  return `${whichRun(count, total, arm, run)}: diverged${isNew ? '' : ' before'}, left out: ${run.message}`;
}

function whichRun(count: number, total: number, arm: Arm, { seed }: Pick<ArmRun, 'seed'>): string {
  return `${String(count).padStart(String(total).length)}/${total}  ${arm.name} seed ${seed}`;
}

/** The table, and how to read it. */
export function formatComparison({ arms, seeds, recipe, judge, notes }: Comparison): string {
  const { columns, rows, remarks } = comparisonTable(arms, { seeds, heldOut: recipe.validation > 0, judge, notes });
  return [formatTable(columns, rows), '', ...remarks].join('\n');
}
