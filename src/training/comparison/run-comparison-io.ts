/** Trains every arm of a comparison with every seed; what is done already is not done again. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../core/files/atomic-file-io.ts';
import { mean } from '../../core/numbers/statistics.ts';
import { type Communicator, gather } from '../../distributed/communicator.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../../errors.ts';
import type { LoadedPlugin } from '../plugins/load-plugin-io.ts';
import { parseRecipe } from '../recipes/parse-recipe.ts';
import { BUILT_IN, type Parts } from '../recipes/parts.ts';
import type { Recipe } from '../recipes/recipe.ts';
import { type EpochRecord, readHistory } from '../sessions/history-io.ts';
import { isFinished } from '../sessions/is-finished.ts';
import { checkRunFolder, isUntouched, readRecipe } from '../sessions/run-folder-io.ts';
import type { Environment, TrainListeners, TrainOptions } from '../sessions/train-options.ts';
import { train, withStart } from '../sessions/trainer.ts';
import {
  type Arm,
  type ArmResult,
  type ArmRun,
  bestRate,
  type DivergedRun,
  type Judge,
  runName,
  summarizeArms,
  summarizeRun,
  type TrainedArm,
  type TuningRate,
} from './comparison.ts';
import { type Decisions, type Disagreement, disagreementOf } from './contrast.ts';
import { divergenceOf, readDivergence, writeDivergence } from './diverged-run-io.ts';
import { RunOrigins } from './run-origins-io.ts';

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
  /** By which accuracy arms are compared; by that of the test pictures unless told. */
  readonly judge?: Judge | undefined;
  /** What the runs were made with: `environment.json` of each. */
  readonly environment?: Environment | undefined;
  readonly signal?: AbortSignal;
  /** Shares the runs out to the processes; process 0 reads all of them from `out` in the end. */
  readonly communicator?: Communicator | undefined;
  readonly teacher?: TrainOptions['teacher'];
  readonly plugins?: readonly LoadedPlugin[] | undefined;
  /** Of each run, where the recipe leaves it open; all cores unless told. */
  readonly threads?: number | undefined;
  /** With the plug-ins; those of this project unless told. */
  readonly parts?: Parts | undefined;
  /** What to call while a run is trained. */
  readonly listen?: (arm: Arm, seed: number) => TrainListeners;
  /** Called after each run, also for those that were complete before. */
  readonly onRun?: (arm: Arm, run: ArmRun, isNew: boolean) => void;
  /** Called in place of `onRun` where a run diverged: it is left out. */
  readonly onDiverged?: (arm: Arm, run: DivergedRun, isNew: boolean) => void;
  /** Called when an arm's learning rate is chosen. */
  readonly onTuned?: (arm: Arm, tried: readonly TuningRate[], lr: number) => void;
}

export interface Comparison {
  readonly version: 1;
  /** What all arms share; an arm's overrides and the seeds apply on top. */
  readonly recipe: Recipe;
  readonly seeds: readonly number[];
  readonly tuning: Tuning | null;
  /** Not in results of earlier versions, which compare by the test pictures. */
  readonly judge: Judge;
  readonly environment: Environment | null;
  readonly arms: readonly ArmResult[];
  /** In what the runs differ besides their recipes: versions, processors, precision. */
  readonly notes: readonly string[];
  /** False when runs are missing because the comparison was interrupted. */
  readonly isComplete: boolean;
}

/** An arm with the learning rate that it was given. */
interface TunedArm extends TrainedArm {
  readonly runs: ArmRun[];
  readonly diverged: DivergedRun[];
  /** By seed. */
  readonly tested: Map<number, Decisions>;
}

/**
 * Trains seed by seed, so that what an interrupted comparison has is balanced; call it again to go on.
 *
 * @throws {BnnError} as `train`; E_USAGE when a run in the folder was made by another recipe.
 */
export async function runComparison(recipe: Recipe, options: ComparisonOptions): Promise<Comparison> {
  const { communicator } = options;
  if (communicator !== undefined) {
    const mine = await trainShare(recipe, options, communicator);
    if (communicator.rank > 0) return collect(recipe, options, [], mine.isComplete, []);
    return collectRuns(recipe, { ...options, onTuned: () => {} }, (run) => (mine.names.has(run) ? 'told' : 'read'));
  }
  return collectRuns(recipe, options, () => 'train');
}

/** `train` where it is missing; `read` it, or leave it out where it is missing; `told`: read, but the listener knows of it. */
type Way = 'train' | 'read' | 'told';

async function collectRuns(
  recipe: Recipe,
  options: ComparisonOptions,
  wayOf: (run: string) => Way,
): Promise<Comparison> {
  const tuned: TunedArm[] = [];
  const origins = new RunOrigins();
  let isComplete = true;
  for (const arm of options.arms) {
    const chosen = await tune(recipe, arm, options, wayOf, origins);
    if (chosen === null) isComplete = false;
    tuned.push({ ...(chosen ?? { arm, tuning: null }), runs: [], diverged: [], tested: new Map() });
  }
  for (const seed of isComplete ? options.seeds : []) {
    for (const one of tuned) {
      const { arm, runs, diverged, tested } = one;
      const way = wayOf(`runs/${runName(arm, seed)}`);
      const done = await completeRun(recipe, arm, seed, 'runs', options, { isRead: way !== 'train', origins });
      if (done === null) {
        isComplete = false;
        continue;
      }
      if (done.kind === 'diverged') diverged.push(done.run);
      else {
        runs.push(done.run);
        if (done.tested !== null) tested.set(seed, done.tested);
      }
      if (way !== 'told') tell(options, arm, done);
      if (way === 'train') await writeResults(options.out, collect(recipe, options, tuned, false, origins.notes()));
    }
  }
  const comparison = collect(recipe, options, tuned, isComplete, origins.notes());
  await writeResults(options.out, comparison);
  return comparison;
}

function tell({ onRun, onDiverged }: ComparisonOptions, arm: Arm, done: DoneRun): void {
  if (done.kind === 'diverged') onDiverged?.(arm, done.run, done.isNew);
  else onRun?.(arm, done.run, done.isNew);
}

/**
 * The arm with the rate that is best on held-out pictures; null when interrupted.
 *
 * @throws {BnnError} E_NUMERIC where the training diverged with every rate.
 */
async function tune(
  recipe: Recipe,
  arm: Arm,
  options: ComparisonOptions,
  wayOf: (run: string) => Way,
  origins: RunOrigins,
): Promise<Pick<TunedArm, 'arm' | 'tuning'> | null> {
  const { tuning } = options;
  if (tuning === undefined) return { arm, tuning: null };
  const tried: TuningRate[] = [];
  for (const lr of tuning.lrs) {
    const at = armAtRate(arm, lr);
    const accuracies: number[] = [];
    let hasDiverged = false;
    for (const seed of tuning.seeds) {
      const way = wayOf(`tuning/${runName(at, seed)}`);
      const done = await completeRun(recipe, at, seed, 'tuning', options, { isRead: way !== 'train', origins });
      if (done === null) return null;
      if (way !== 'told') tell(options, at, done);
      if (done.kind === 'diverged') hasDiverged = true;
      else accuracies.push(done.run.validationTop1 ?? Number.NaN);
    }
    tried.push({ lr, validationTop1: hasDiverged ? null : mean(accuracies) });
  }
  const lr = bestRate(tried);
  if (lr === null) {
    throw new BnnError('E_NUMERIC', `arm "${arm.name}" diverged with each learning rate: ${tuning.lrs.join(', ')}`, {
      at: join(options.out, 'tuning'),
      hint: 'give lower ones as well: --tune-lrs; what is trained by now is kept',
    });
  }
  options.onTuned?.(arm, tried, lr);
  return { arm: { ...arm, overrides: { ...arm.overrides, lr } }, tuning: tried };
}

function armAtRate(arm: Arm, lr: number): Arm {
  return { ...arm, name: `${arm.name} lr=${lr}`, overrides: { ...arm.overrides, lr } };
}

interface PlannedRun {
  readonly arm: Arm;
  readonly seed: number;
}

/**
 * Trains the runs of this process: first those that choose learning rates, then, when all processes have theirs, those that are compared.
 *
 * @returns which runs these were, and whether all processes came to the end of theirs.
 * @throws {BnnError} E_IO where a run of another machine is not seen here.
 */
async function trainShare(
  recipe: Recipe,
  options: ComparisonOptions,
  communicator: Communicator,
): Promise<{ readonly names: ReadonlySet<string>; readonly isComplete: boolean }> {
  const { arms, seeds, tuning } = options;
  const names = new Set<string>();
  const origins = new RunOrigins();
  const trainMine = async (runs: readonly PlannedRun[], folder: 'runs' | 'tuning'): Promise<boolean> => {
    let missing = 0;
    for (const [i, { arm, seed }] of runs.entries()) {
      if (i % communicator.size !== communicator.rank) continue;
      const done = await completeRun(recipe, arm, seed, folder, options, { isRead: false, origins });
      names.add(`${folder}/${runName(arm, seed)}`);
      if (done === null) missing++;
      else tell(options, arm, done);
    }
    const isComplete = gather(communicator, [missing]).every(([count]) => count === 0);
    if (isComplete) for (const { arm, seed } of runs) await assertSeen(join(options.out, folder, runName(arm, seed)));
    return isComplete;
  };
  const trials = arms.flatMap((arm) =>
    (tuning?.lrs ?? []).flatMap((lr) => (tuning?.seeds ?? []).map((seed) => ({ arm: armAtRate(arm, lr), seed }))),
  );
  if (!(await trainMine(trials, 'tuning'))) return { names, isComplete: false };
  const tuned: Arm[] = [];
  for (const arm of arms) {
    const chosen = await tune(recipe, arm, options, () => 'told', origins);
    if (chosen === null) throw new Error(`internal: a run that chooses the rate of "${arm.name}" is missing`);
    tuned.push(chosen.arm);
  }
  const isComplete = await trainMine(
    seeds.flatMap((seed) => tuned.map((arm) => ({ arm, seed }))),
    'runs',
  );
  return { names, isComplete };
}

/** @throws {BnnError} E_IO. */
async function assertSeen(run: string): Promise<void> {
  if ((await readRecipe(run)) !== null || (await readDivergence(run)) !== null) return;
  throw new BnnError('E_IO', 'a run that another process has trained is not here', {
    at: run,
    hint: 'all machines must see one folder under the name given by --out, e.g. over NFS',
  });
}

interface CompleteRun {
  readonly kind: 'complete';
  readonly run: ArmRun;
  readonly isNew: boolean;
  /** Null where an earlier version made the run. */
  readonly tested: Decisions | null;
}

type DoneRun = CompleteRun | { readonly kind: 'diverged'; readonly run: DivergedRun; readonly isNew: boolean };

/**
 * The recipe with what an earlier version recorded otherwise, though it is the same run: no digest of the teacher, which is then told by
 * its path, and a size of pictures where the data set has its own.
 */
function asRecorded(recipe: Recipe, { teacherSha256, imageSize }: Recipe): Recipe {
  return {
    ...recipe,
    ...(teacherSha256 === '' && { teacherSha256 }),
    ...(recipe.imageSize === 0 && { imageSize }),
  };
}

/** Null when interrupted. */
async function completeRun(
  shared: Recipe,
  arm: Arm,
  seed: number,
  folder: 'runs' | 'tuning',
  options: ComparisonOptions,
  { isRead, origins }: { readonly isRead: boolean; readonly origins: RunOrigins },
): Promise<DoneRun | null> {
  const { signal, teacher, environment, plugins, parts = BUILT_IN, threads } = options;
  if (signal?.aborted === true && !isRead) return null;
  const planned = await withStart(parseRecipe([{ ...shared }, arm.overrides, { seed }], arm.name, parts.rules), parts);
  const out = join(options.out, folder, runName(arm, seed));
  const history = join(out, 'history.jsonl');
  const predictions = join(out, 'predictions.json');
  const recorded = await readRecipe(out);
  const exists = recorded !== null && !(await isUntouched(out));
  const recipe = exists ? asRecorded(planned, recorded) : planned;
  if (exists) await checkRunFolder(out, recipe, true);
  const before = exists ? await readHistory(history) : [];
  const complete = async (records: readonly EpochRecord[], isNew: boolean): Promise<CompleteRun> => {
    await origins.add(arm.name, out);
    return { kind: 'complete', run: summarizeRun(seed, records), isNew, tested: await readPredictions(predictions) };
  };
  if (isFinished(before, recipe)) return complete(before, false);
  const divergence = await readDivergence(out, recipe);
  if (divergence !== null) return { kind: 'diverged', run: { seed, message: divergence }, isNew: false };
  if (isRead) return null;
  const listeners = options.listen?.(arm, seed);
  const training = train(recipe, {
    out,
    resume: exists,
    teacher,
    plugins,
    environment,
    threads,
    ...(signal !== undefined && { signal }),
    ...listeners,
    onStart: (opening) => {
      // Said before a training, not after it.
      origins.assertSame(arm.name, out, opening.dataset.fingerprint);
      listeners?.onStart?.(opening);
    },
    // Of the epoch whose accuracy counts: the last, or the best by held-out pictures.
    onTested: async (tested) => {
      if (!tested.isBest && recipe.validation > 0) return;
      const { confidences: _, ...kept } = tested;
      await writeFileAtomic(predictions, `${JSON.stringify(kept)}\n`);
    },
  });
  try {
    if ((await training).interrupted) return null;
  } catch (error) {
    const message = divergenceOf(error, out);
    if (message === null) throw error;
    await writeDivergence(out, recipe, message);
    return { kind: 'diverged', run: { seed, message }, isNew: true };
  }
  const records = await readHistory(history);
  if (records.length === 0) throw new BnnError('E_FORMAT', 'the run left no history', { at: history });
  return complete(records, true);
}

async function readPredictions(path: string): Promise<Decisions | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Decisions;
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
  { seeds, tuning = undefined, judge = 'test', environment }: ComparisonOptions,
  tuned: readonly TunedArm[],
  isComplete: boolean,
  notes: readonly string[],
): Comparison {
  const [first] = tuned;
  const arms = summarizeArms(tuned, judge).map((result, i) => {
    const one = tuned[i];
    const isTested = judge === 'test' && one !== undefined && one !== first;
    return { ...result, disagreements: isTested ? disagreements(one, first) : [] };
  });
  const found = { tuning: tuning ?? null, judge, environment: environment ?? null };
  return { version: 1, recipe, seeds, ...found, arms, notes, isComplete };
}

function disagreements(arm: TunedArm, first: TunedArm | undefined): Disagreement[] {
  return Array.from(arm.tested).flatMap(([seed, these]) => {
    const other = first?.tested.get(seed);
    return (other === undefined ? null : disagreementOf(seed, these, other)) ?? [];
  });
}

async function writeResults(out: string, comparison: Comparison): Promise<void> {
  await writeFileAtomic(join(out, 'results.json'), `${JSON.stringify(comparison, null, 2)}\n`);
}
