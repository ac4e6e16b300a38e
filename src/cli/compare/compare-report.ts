/** What `bnn compare` prints. */

import { formatPercent } from '../../report/format.ts';
import { formatTable } from '../../report/table.ts';
import { comparisonTable } from '../../tasks/compare-table.ts';
import type { Arm, ArmRun, TuningRate } from '../../training/comparison/comparison.ts';
import type { Comparison } from '../../training/comparison/run-comparison-io.ts';

export function formatTuned(arm: Arm, tried: readonly TuningRate[], lr: number): string {
  const rates = tried.map((rate) => `${rate.lr}: ${formatPercent(rate.validationTop1)}`).join(', ');
  return `${arm.name}: lr ${lr}, by held-out pictures (${rates})`;
}

export function formatRun(count: number, total: number, arm: Arm, run: ArmRun, isNew: boolean): string {
  const what = `${String(count).padStart(String(total).length)}/${total}  ${arm.name} seed ${run.seed}`;
  return `${what}: test ${formatPercent(run.testTop1)}, ${isNew ? `${run.seconds.toFixed(1)} s` : 'done before'}`;
}

/** The table, and how to read it. */
export function formatComparison({ arms, seeds, recipe }: Comparison): string {
  const { columns, rows, remarks } = comparisonTable(arms, { seeds, heldOut: recipe.validation > 0 });
  return [formatTable(columns, rows), '', ...remarks].join('\n');
}
