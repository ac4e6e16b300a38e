/** Trains every arm of a comparison with every seed; what is done already is not done again. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../core/atomic-file-io.ts';
import { mean } from '../core/statistics.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../errors.ts';
import {
  type Arm,
  type ArmResult,
  type ArmRun,
  bestRate,
  runName,
  summarizeArm,
  summarizeRun,
  type TuningRate,
} from './comparison.ts';
import { correctTogether, type Disagreement, disagreementOf } from './contrast.ts';
import { readHistory } from './history-io.ts';
import type { LoadedPlugin } from './load-plugin-io.ts';
import { BUILT_IN, type Parts } from './parts.ts';
import { parseRecipe, type Recipe } from './recipe.ts';
import { checkRunFolder, isUntouched, readRecipe } from './run-folder-io.ts';
import type { Environment, TestedEpoch, TrainListeners, TrainOptions } from './train-options.ts';
import { train, withStart } from './trainer.ts';

/** How each arm's learning rate is chosen before its runs. */
export interface Tuning {
  readonly lrs: readonly number[];
  /** Others than those of the comparison. */
  readonly seeds: readonly number[];
}

export interface ComparisonOptions {
  /** The folder: runs in `runs/`, those that only chose a learning rate in `tuning/`, `results.json`. */
  readonly out: string;
  readonly arms: readonly Arm[];
  readonly seeds: readonly number[];
  readonly tuning?: Tuning | undefined;
  /** What the runs were made with: `environment.json` of each. */
  readonly environment?: Environment | undefined;
  readonly signal?: AbortSignal;
  readonly teacher?: TrainOptions['teacher'];
  readonly plugins?: readonly LoadedPlugin[] | undefined;
  /** With the plug-ins; those of this project unless told. */
  readonly parts?: Parts | undefined;
  /** What to call while a run is trained. */
  readonly listen?: (arm: Arm, seed: number) => TrainListeners;
  /** Called after each run, also for those that were complete before. */
  readonly onRun?: (arm: Arm, run: ArmRun, isNew: boolean) => void;
  /** Called when an arm's learning rate is chosen. */
  readonly onTuned?: (arm: Arm, tried: readonly TuningRate[], lr: number) => void;
}

export interface Comparison {
  readonly version: 1;
  /** What all arms share; an arm's overrides and the seeds apply on top. */
  readonly recipe: Recipe;
  readonly seeds: readonly number[];
  readonly tuning: Tuning | null;
  readonly environment: Environment | null;
  readonly arms: readonly ArmResult[];
  /** False when runs are missing because the comparison was interrupted. */
  readonly isComplete: boolean;
}

/** An arm with the learning rate that it was given. */
interface TunedArm {
  readonly arm: Arm;
  readonly tuning: readonly TuningRate[] | null;
  readonly runs: ArmRun[];
  /** By seed. */
  readonly tested: Map<number, Pick<TestedEpoch, 'predictions' | 'labels'>>;
}

/**
 * Trains seed by seed, so that what an interrupted comparison has is balanced; call it again to go on.
 *
 * @throws {BnnError} as `train`; E_USAGE when a run in the folder was made by another recipe.
 */
export async function runComparison(recipe: Recipe, options: ComparisonOptions): Promise<Comparison> {
  const tuned: TunedArm[] = [];
  let isComplete = true;
  for (const arm of options.arms) {
    const chosen = await tune(recipe, arm, options);
    if (chosen === null) isComplete = false;
    tuned.push({ ...(chosen ?? { arm, tuning: null }), runs: [], tested: new Map() });
  }
  for (const seed of isComplete ? options.seeds : []) {
    for (const one of tuned) {
      const { arm, runs, tested } = one;
      const done = await completeRun(recipe, arm, seed, 'runs', options);
      if (done === null) {
        isComplete = false;
        continue;
      }
      runs.push(done.run);
      if (done.tested !== null) tested.set(seed, done.tested);
      options.onRun?.(arm, done.run, done.isNew);
      await writeResults(options.out, collect(recipe, options, tuned, false));
    }
  }
  const comparison = collect(recipe, options, tuned, isComplete);
  await writeResults(options.out, comparison);
  return comparison;
}

/** The arm with the rate that is best on held-out pictures; null when interrupted. */
async function tune(
  recipe: Recipe,
  arm: Arm,
  options: ComparisonOptions,
): Promise<Pick<TunedArm, 'arm' | 'tuning'> | null> {
  const { tuning } = options;
  if (tuning === undefined) return { arm, tuning: null };
  const tried: TuningRate[] = [];
  for (const lr of tuning.lrs) {
    const at = { ...arm, name: `${arm.name} lr=${lr}`, overrides: { ...arm.overrides, lr } };
    const accuracies: number[] = [];
    for (const seed of tuning.seeds) {
      const done = await completeRun(recipe, at, seed, 'tuning', options);
      if (done === null) return null;
      options.onRun?.(at, done.run, done.isNew);
      accuracies.push(done.run.validationTop1 ?? Number.NaN);
    }
    tried.push({ lr, validationTop1: mean(accuracies) });
  }
  const lr = bestRate(tried);
  options.onTuned?.(arm, tried, lr);
  return { arm: { ...arm, overrides: { ...arm.overrides, lr } }, tuning: tried };
}

interface DoneRun {
  readonly run: ArmRun;
  readonly isNew: boolean;
  /** Null where an earlier version made the run. */
  readonly tested: Pick<TestedEpoch, 'predictions' | 'labels'> | null;
}

/** Null when interrupted. */
async function completeRun(
  shared: Recipe,
  arm: Arm,
  seed: number,
  folder: 'runs' | 'tuning',
  options: ComparisonOptions,
): Promise<DoneRun | null> {
  const { signal, teacher, environment, plugins, parts = BUILT_IN } = options;
  if (signal?.aborted === true) return null;
  const recipe = await withStart(parseRecipe([{ ...shared }, arm.overrides, { seed }], arm.name, parts.rules), parts);
  const out = join(options.out, folder, runName(arm, seed));
  const history = join(out, 'history.jsonl');
  const predictions = join(out, 'predictions.json');
  const exists = (await readRecipe(out)) !== null && !(await isUntouched(out));
  if (exists) await checkRunFolder(out, recipe, true);
  const before = exists ? await readHistory(history) : [];
  if (before.length >= recipe.epochs) {
    return { run: summarizeRun(seed, before), isNew: false, tested: await readPredictions(predictions) };
  }
  const listeners = options.listen?.(arm, seed);
  const result = await train(recipe, {
    out,
    resume: exists,
    teacher,
    plugins,
    environment,
    ...(signal !== undefined && { signal }),
    ...listeners,
    // Of the epoch whose accuracy counts: the last, or the best by held-out pictures.
    onTested: async (tested) => {
      if (!tested.isBest && recipe.validation > 0) return;
      const { confidences: _, ...kept } = tested;
      await writeFileAtomic(predictions, `${JSON.stringify(kept)}\n`);
    },
  });
  if (result.interrupted) return null;
  const records = await readHistory(history);
  if (records.length === 0) throw new BnnError('E_FORMAT', 'the run left no history', { at: history });
  return { run: summarizeRun(seed, records), isNew: true, tested: await readPredictions(predictions) };
}

async function readPredictions(path: string): Promise<DoneRun['tested']> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as TestedEpoch;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return null;
    if (error instanceof SyntaxError) {
      throw new BnnError('E_FORMAT', 'the predictions are not JSON', { at: path, cause: error });
    }
    throw fromSystemError(error, 'read the predictions', path);
  }
}

function collect(
  recipe: Recipe,
  { seeds, tuning = undefined, environment }: ComparisonOptions,
  tuned: readonly TunedArm[],
  isComplete: boolean,
): Comparison {
  const [first] = tuned;
  const results = tuned.map((one) => ({
    ...summarizeArm(one.arm, one.runs, one === first ? null : (first?.runs ?? null), tuned.length - 1),
    tuning: one.tuning,
    disagreements: one === first || first === undefined ? [] : disagreements(one, first),
  }));
  const differences = correctTogether(results.map(({ difference }) => difference));
  const arms = results.map((result, i) => ({ ...result, difference: differences[i] ?? null }));
  return { version: 1, recipe, seeds, tuning: tuning ?? null, environment: environment ?? null, arms, isComplete };
}

function disagreements(arm: TunedArm, first: TunedArm): Disagreement[] {
  return Array.from(arm.tested).flatMap(([seed, { predictions, labels }]) => {
    const other = first.tested.get(seed);
    const found = other === undefined ? null : disagreementOf(seed, labels, predictions, other.predictions);
    return found ?? [];
  });
}

async function writeResults(out: string, comparison: Comparison): Promise<void> {
  await writeFileAtomic(join(out, 'results.json'), `${JSON.stringify(comparison, null, 2)}\n`);
}
