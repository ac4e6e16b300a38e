/** What the folder of a comparison has for a page. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BnnError, fromSystemError, systemErrorCode } from '../errors.ts';
import type { ComparedLayers } from '../report/page/compared-layers-html.ts';
import {
  type ArmResult,
  type ArmRun,
  type DivergedRun,
  runName,
  summarizeArms,
} from '../training/comparison/comparison.ts';
import type { Comparison } from '../training/comparison/run-comparison-io.ts';
import { type ComparisonTable, comparisonTable } from './compare-table.ts';
import { readComparedLayers } from './report-compared-layers-io.ts';

export interface FoundComparison {
  readonly folder: string;
  /** Of each arm the folder of its run with the first seed that did not diverge. */
  readonly runs: readonly string[];
  /** Null where no run is complete, or another version wrote the results. */
  readonly table: ComparisonTable | null;
  /** Null where no run recorded indicators. */
  readonly layers: ComparedLayers | null;
  readonly notes: readonly string[];
}

/**
 * Null for a folder without results of a comparison.
 *
 * @throws {BnnError} E_FORMAT.
 */
export async function findComparison(folder: string): Promise<FoundComparison | null> {
  const path = join(folder, 'results.json');
  let comparison: Partial<Comparison> | null;
  try {
    comparison = JSON.parse(await readFile(path, 'utf8')) as Partial<Comparison> | null;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return null;
    if (error instanceof SyntaxError)
      throw new BnnError('E_FORMAT', 'the results are not JSON', { at: path, cause: error });
    throw fromSystemError(error, 'read the results', path);
  }
  const { seeds, arms, recipe, judge, notes } = comparison ?? {};
  const [seed]: unknown[] = Array.isArray(seeds) ? seeds : [];
  const isNamed = (arm: Partial<ArmResult> | null): boolean => typeof arm?.name === 'string';
  if (seeds === undefined || typeof seed !== 'number' || !Array.isArray(arms) || !arms.every(isNamed)) {
    throw new BnnError('E_FORMAT', 'these are not the results of a comparison', { at: path });
  }
  const table = arms.some(hasRuns)
    ? comparisonTable(
        summarizeArms(
          arms.map((arm) => ({
            arm: { name: arm.name, overrides: arm.overrides ?? {}, oEnd: null },
            tuning: Array.isArray(arm.tuning) ? arm.tuning : null,
            runs: hasRuns(arm) ? arm.runs : [],
            diverged: divergedOf(arm),
          })),
          judge,
        ),
        { seeds, heldOut: Number(recipe?.validation) > 0, judge, ...(Array.isArray(notes) && { notes }) },
      )
    : null;
  const numbers = seeds.filter((one: unknown) => typeof one === 'number');
  const measured = arms.map((arm) => ({
    arm: { name: arm.name, overrides: arm.overrides ?? {}, oEnd: null },
    seeds: numbers.filter((one) => !divergedOf(arm).some((run) => run.seed === one)),
  }));
  const which = `each arm is shown by its run with seed ${seed}`;
  const others = measured.flatMap(({ arm, seeds: [shown] }) =>
    shown === seed ? [] : [`${arm.name} ${shown === undefined ? 'by none' : `with seed ${shown}`}, as it diverged`],
  );
  const more = table === null ? 'results.csv has the means' : 'the table of the comparison has the means';
  return {
    folder,
    runs: measured.flatMap(({ arm, seeds: [shown] }) =>
      shown === undefined ? [] : [join(folder, 'runs', runName(arm, shown))],
    ),
    table,
    layers: await readComparedLayers(folder, measured),
    notes:
      seeds.length > 1 || others.length > 0
        ? [`Of the comparison ${folder}, ${[which, ...others].join(', ')}; ${more} over ${seeds.length} seeds.`]
        : [],
  };
}

/** Earlier versions had none. */
function divergedOf({ diverged }: Partial<ArmResult>): readonly DivergedRun[] {
  return Array.isArray(diverged) ? diverged : [];
}

function hasRuns({ runs }: Partial<ArmResult>): boolean {
  const isRun = (run: Partial<ArmRun> | null): boolean =>
    typeof run?.seed === 'number' && typeof run.testTop1 === 'number';
  return Array.isArray(runs) && runs.length > 0 && runs.every(isRun);
}
