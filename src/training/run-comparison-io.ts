/** Trains every arm of a comparison with every seed; what is done already is not done again. */

import { join } from 'node:path';
import { writeFileAtomic } from '../core/atomic-file-io.ts';
import { BnnError } from '../errors.ts';
import { type Arm, type ArmResult, type ArmRun, runName, summarizeArm, summarizeRun } from './comparison.ts';
import { readHistory } from './history-io.ts';
import { parseRecipe, type Recipe } from './recipe.ts';
import { checkRunFolder, isUntouched, readRecipe } from './run-folder-io.ts';
import type { TrainListeners, TrainOptions } from './train-options.ts';
import { train } from './trainer.ts';

export interface ComparisonOptions {
  /** The folder: runs in `runs/`, `results.json`. */
  readonly out: string;
  readonly arms: readonly Arm[];
  readonly seeds: readonly number[];
  readonly signal?: AbortSignal;
  readonly teacher?: TrainOptions['teacher'];
  /** What to call while a run is trained. */
  readonly listen?: (arm: Arm, seed: number) => TrainListeners;
  /** Called after each run, also for those that were complete before. */
  readonly onRun?: (arm: Arm, run: ArmRun, isNew: boolean) => void;
}

export interface Comparison {
  readonly version: 1;
  /** What all arms share; an arm's overrides and the seeds apply on top. */
  readonly recipe: Recipe;
  readonly seeds: readonly number[];
  readonly arms: readonly ArmResult[];
  /** False when runs are missing because the comparison was interrupted. */
  readonly isComplete: boolean;
}

/**
 * Trains seed by seed, so that what an interrupted comparison has is balanced; call it again to go on.
 *
 * @throws {BnnError} as `train`; E_USAGE when a run in the folder was made by another recipe.
 */
export async function runComparison(recipe: Recipe, options: ComparisonOptions): Promise<Comparison> {
  const runs = new Map<Arm, ArmRun[]>(options.arms.map((arm) => [arm, []]));
  let isComplete = true;
  for (const seed of options.seeds) {
    for (const arm of options.arms) {
      const done = options.signal?.aborted === true ? null : await completeRun(recipe, arm, seed, options);
      if (done === null) {
        isComplete = false;
        continue;
      }
      runs.get(arm)?.push(done.run);
      options.onRun?.(arm, done.run, done.isNew);
      await writeResults(options.out, collect(recipe, options, runs, false));
    }
  }
  const comparison = collect(recipe, options, runs, isComplete);
  await writeResults(options.out, comparison);
  return comparison;
}

/** Null when interrupted. */
async function completeRun(
  shared: Recipe,
  arm: Arm,
  seed: number,
  options: ComparisonOptions,
): Promise<{ readonly run: ArmRun; readonly isNew: boolean } | null> {
  const recipe = parseRecipe([{ ...shared }, arm.overrides, { seed }], arm.name);
  const out = join(options.out, 'runs', runName(arm, seed));
  const history = join(out, 'history.jsonl');
  const exists = (await readRecipe(out)) !== null && !(await isUntouched(out));
  if (exists) await checkRunFolder(out, recipe, true);
  const before = exists ? await readHistory(history) : [];
  if (before.length >= recipe.epochs) return { run: summarizeRun(seed, before), isNew: false };
  const { signal, teacher } = options;
  const result = await train(recipe, {
    out,
    resume: exists,
    teacher,
    ...(signal !== undefined && { signal }),
    ...options.listen?.(arm, seed),
  });
  if (result.interrupted) return null;
  const records = await readHistory(history);
  if (records.length === 0) throw new BnnError('E_FORMAT', 'the run left no history', { at: history });
  return { run: summarizeRun(seed, records), isNew: true };
}

function collect(
  recipe: Recipe,
  { arms, seeds }: ComparisonOptions,
  runs: ReadonlyMap<Arm, readonly ArmRun[]>,
  isComplete: boolean,
): Comparison {
  const [first] = arms;
  const baseline = first === undefined ? null : (runs.get(first) ?? null);
  const results = arms.map((arm) => summarizeArm(arm, runs.get(arm) ?? [], arm === first ? null : baseline));
  return { version: 1, recipe, seeds, arms: results, isComplete };
}

async function writeResults(out: string, comparison: Comparison): Promise<void> {
  await writeFileAtomic(join(out, 'results.json'), `${JSON.stringify(comparison, null, 2)}\n`);
}
