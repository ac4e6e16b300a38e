/** Trains recipes that differ in one thing over the same seeds, and writes what they say together. */

import { join } from 'node:path';
import { writeFileAtomic } from '../core/files/atomic-file-io.ts';
import type { BrokenImage } from '../data/batches/decode-pictures.ts';
import type { Communicator } from '../distributed/communicator.ts';
import { threadsOf } from '../distributed/share-cores.ts';
import { BnnError } from '../errors.ts';
import { plotEquilibrium } from '../report/plot-equilibrium.ts';
import {
  type Arm,
  type ArmRun,
  assertNoTwins,
  createArms,
  type DivergedRun,
  type Judge,
  type TuningRate,
} from '../training/comparison/comparison.ts';
import type { Comparison, Tuning } from '../training/comparison/run-comparison-io.ts';
import { type LoadedPlugin, loadPlugin, type PluginSource } from '../training/plugins/load-plugin-io.ts';
import { fromPluginError } from '../training/plugins/plugin-errors.ts';
import { missingUse, parseRecipe, type RecipeRules } from '../training/recipes/parse-recipe.ts';
import { openParts, type Parts } from '../training/recipes/parts.ts';
import type { Recipe, RecipeInput } from '../training/recipes/recipe.ts';
import { readRecipe } from '../training/sessions/run-folder-io.ts';
import type { StepProgress, TrainListeners } from '../training/sessions/train-options.ts';
import { digestOfFile } from '../training/start/file-digest-io.ts';
import { withInitialDigest } from '../training/start/initial-model-io.ts';
import { findNetwork } from '../zoo/zoo.ts';
import { formatCsv, formatLatex } from './compare-files.ts';
import { equilibriumPanels, plotTitles } from './compare-plot.ts';
import { describeEnvironment } from './environment.ts';
import { openTeacher } from './open-teacher.ts';
import { assertWritable } from './output-file.ts';
import { startFileOf, withModelFiles } from './read-recipe.ts';

export interface CompareOptions {
  /** Holds the runs, results.json, results.csv, results.tex and, with indicators, equilibrium.svg. */
  readonly out: string;
  /** One arm each; those of the ReSTE paper where nothing else is to be compared, unless told. */
  readonly estimators?: readonly string[] | undefined;
  /** Final powers of ReSTE, one arm each. */
  readonly oEnds?: readonly number[] | undefined;
  /** Arms over any fields: `name:field=value,field=value`. The first arm of all is what others are compared with. */
  readonly arms?: readonly string[] | undefined;
  /** Trains every arm with each of these learning rates. */
  readonly lrs?: readonly number[] | undefined;
  /** `COMPARE_SEEDS` unless told. */
  readonly seeds?: readonly number[] | undefined;
  /** Chooses each arm's learning rate among these, by held-out pictures, before its runs. */
  readonly tuneLrs?: readonly number[] | undefined;
  /** `TUNE_SEEDS` unless told. */
  readonly tuneSeeds?: readonly number[] | undefined;
  /** By which accuracy arms are compared: `held-out` for what is to be chosen, of a recipe with `validation`; `test` unless told. */
  readonly judgeBy?: Judge | undefined;
  /** Parts of one's own: files, or plug-ins as they are. */
  readonly plugins?: readonly (PluginSource | LoadedPlugin)[] | undefined;
  /** Shares the runs out to the processes, which call this with the same; process 0 writes the results. */
  readonly communicator?: Communicator | undefined;
  /** Stops after a step, with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
  /** Called before any work; what it throws stops the comparison. */
  readonly onPlan?: ((plan: ComparisonPlan) => void) | undefined;
  /** Called before the first run. */
  readonly onStart?: ((plan: ComparisonPlan) => void) | undefined;
  readonly onStep?: ((arm: Arm, seed: number, progress: StepProgress) => void) | undefined;
  /** What a training says of its data and its network, each text once. */
  readonly onNote?: ((note: string) => void) | undefined;
  /** A picture that is left out because it cannot be read, once for all runs. */
  readonly onBrokenImage?: ((image: BrokenImage) => void) | undefined;
  readonly onTuned?: ((arm: Arm, tried: readonly TuningRate[], lr: number) => void) | undefined;
  /** Called after each run, also for those that were complete before. */
  readonly onRun?: ((arm: Arm, run: ArmRun, isNew: boolean) => void) | undefined;
  /** Called in place of `onRun` where the loss of a run became no number: it is left out, and not trained again. */
  readonly onDiverged?: ((arm: Arm, run: DivergedRun, isNew: boolean) => void) | undefined;
}

export interface ComparisonPlan {
  /** What all arms share. */
  readonly recipe: Recipe;
  readonly arms: readonly Arm[];
  /** Of each arm. */
  readonly recipes: readonly Recipe[];
  readonly seeds: readonly number[];
  readonly tuning: Tuning | undefined;
  /** How many runs that makes. */
  readonly runs: number;
}

export interface ComparedRecipes {
  readonly comparison: Comparison;
  readonly results: string;
  /** Null without indicators. */
  readonly plot: string | null;
}

/** The estimators of the paper's comparison (its Table 3). */
export const PAPER_ESTIMATORS = ['ste', 'dsq', 'ede', 'fda', 'rbnn', 'reste'];
export const COMPARE_SEEDS = [1, 2, 3, 4, 5];
export const TUNE_SEEDS = [1001];
const RESULTS = 'results.json';
const PLOT = 'equilibrium.svg';

/**
 * Compares recipes; called again with the same folder, it goes on where it stopped.
 *
 * @throws {BnnError} E_USAGE when there is nothing to compare, or arms would be the same training; and as `train`.
 */
export async function compareRecipes(
  recipe: Partial<Recipe> & RecipeInput,
  options: CompareOptions,
): Promise<ComparedRecipes> {
  const plugins = await Promise.all((options.plugins ?? []).map(loadPlugin));
  const parts = await openParts(plugins);
  try {
    return await compareWith(parts, plugins, parseRecipe([recipe], undefined, parts.rules), options);
  } catch (error) {
    throw fromPluginError(error, parts.plugins);
  }
}

async function compareWith(
  parts: Parts,
  plugins: readonly LoadedPlugin[],
  recipe: Recipe,
  options: CompareOptions,
): Promise<ComparedRecipes> {
  const plan = await planComparison(recipe, options, parts);
  const { out, signal, communicator, onStep, onTuned, onRun, onDiverged } = options;
  const isFirst = communicator === undefined || communicator.rank === 0;
  await assertNoRun(out);
  if (isFirst) for (const name of [RESULTS, PLOT]) await assertWritable(join(out, name));
  const { teacher, close } = await openTeacher(plan.recipe, communicator);
  const environment = await describeEnvironment();
  options.onStart?.(plan);
  const notices = noticesOnce(options);
  const { runComparison } = await import('../training/comparison/run-comparison-io.ts');
  const comparison = await runComparison(plan.recipe, {
    out,
    arms: plan.arms,
    seeds: plan.seeds,
    tuning: plan.tuning,
    judge: options.judgeBy,
    environment,
    teacher,
    plugins,
    parts,
    ...(communicator && { communicator, threads: threadsOf(communicator) }),
    ...(signal === undefined ? {} : { signal }),
    listen: (arm, seed) => ({ ...notices, onStep: (progress) => onStep?.(arm, seed, progress) }),
    onTuned: (...tuned) => onTuned?.(...tuned),
    onRun: (...run) => onRun?.(...run),
    onDiverged: (...run) => onDiverged?.(...run),
  }).finally(close);

  const panels = equilibriumPanels(comparison);
  const plot = panels.length === 0 ? null : join(out, PLOT);
  if (!isFirst) return { comparison, results: join(out, RESULTS), plot };
  if (plot !== null) await writeFileAtomic(plot, plotEquilibrium(panels, plotTitles(comparison)));
  await writeFileAtomic(join(out, 'results.csv'), formatCsv(comparison));
  await writeFileAtomic(join(out, 'results.tex'), formatLatex(comparison));
  return { comparison, results: join(out, RESULTS), plot };
}

/** The runs have the same data, and so much the same to say of them. */
function noticesOnce({ onNote, onBrokenImage }: CompareOptions): TrainListeners {
  const said = new Set<string>();
  const once = (text: string, say: () => void): void => {
    if (said.has(text)) return;
    said.add(text);
    say();
  };
  return {
    onNote: (note) => once(note, () => onNote?.(note)),
    onBrokenImage: (image) => once(`${image.at}: ${image.message}`, () => onBrokenImage?.(image)),
  };
}

/** What is wrong with an arm should not come out after hours. */
async function planComparison(given: Recipe, options: CompareOptions, parts: Parts): Promise<ComparisonPlan> {
  const { rules, networks } = parts;
  const recipe = await withInitialDigest(await withModelFiles(given));
  if (recipe.init === '') findNetwork(recipe.model, networks);
  const { oEnds = [], lrs = [], seeds = COMPARE_SEEDS, arms: specs = [] } = options;
  const { estimators = oEnds.length + specs.length > 0 ? [] : PAPER_ESTIMATORS } = options;
  const arms = await withStartFiles(createArms({ estimators, oEnds, lrs, specs }, parts), recipe);
  const tuning = tuningOf(options, recipe, seeds, arms);
  if (options.judgeBy === 'held-out' && recipe.validation === 0) {
    throw new BnnError('E_USAGE', 'arms are compared by held-out pictures, and none are held out', {
      at: '--judge-by',
      hint: 'give --validation N as well',
    });
  }
  assertNoTwins(recipe, arms, parts);
  const { checkRecipe } = await import('../training/sessions/trainer.ts');
  const recipes = arms.map(({ name, overrides }) => parseRecipe([{ ...recipe }, overrides], `arm "${name}"`, rules));
  const runs = arms.length * (seeds.length + (tuning === undefined ? 0 : tuning.lrs.length * tuning.seeds.length));
  const plan = { recipe, arms, recipes, seeds, tuning, runs };
  assertNetworks(plan, networks);
  options.onPlan?.(plan);
  assertArmsDiffer(plan, rules);
  for (const one of recipes) checkRecipe(one, parts);
  for (const seed of seeds) parseRecipe([{ seed }], '--seeds');
  if (new Set(seeds).size !== seeds.length) throw new BnnError('E_USAGE', 'a seed is given twice', { at: '--seeds' });
  return plan;
}

/** @throws {BnnError} E_USAGE when what an arm is about does nothing in its recipe, so that it would equal others. */
function assertArmsDiffer({ arms, recipes }: ComparisonPlan, { fields }: RecipeRules): void {
  for (const [i, { name, overrides }] of arms.entries()) {
    for (const field of Object.keys(overrides)) {
      const recipe = recipes[i];
      const missing = recipe === undefined ? null : missingUse(field, recipe, fields);
      if (missing === null) continue;
      throw new BnnError('E_USAGE', `${field} does nothing in arm "${name}": it needs ${missing}`, {
        hint: 'leave out what takes its place: --weight-estimator, --activation-estimator, or a network without signs',
      });
    }
  }
}

/** @throws {BnnError} E_USAGE when learning rates cannot be chosen as asked. */
function tuningOf(
  { tuneLrs: lrs, tuneSeeds }: CompareOptions,
  { validation }: Recipe,
  seeds: readonly number[],
  arms: readonly Arm[],
): Tuning | undefined {
  const fail = (message: string, hint: string, at = '--tune-lrs'): never => {
    throw new BnnError('E_USAGE', message, { at, hint });
  };
  if (lrs === undefined) {
    return tuneSeeds === undefined
      ? undefined
      : fail('there are no rates to choose among', 'give --tune-lrs', '--tune-seeds');
  }
  if (validation === 0) {
    fail('learning rates are chosen by held-out pictures, and none are held out', 'give --validation N as well');
  }
  const fixed = arms.find(({ overrides }) => 'lr' in overrides);
  if (fixed !== undefined) fail(`arm "${fixed.name}" has a learning rate`, 'leave out --lrs, and lr in --arm');
  const own = tuneSeeds ?? TUNE_SEEDS;
  const shared = own.find((seed) => seeds.includes(seed));
  if (shared !== undefined) {
    fail(`seed ${shared} would choose a rate and be compared`, 'choose rates with other seeds', '--tune-seeds');
  }
  for (const list of [lrs, own]) {
    if (new Set(list).size !== list.length) fail('a value is given twice', 'leave one out');
  }
  for (const lr of lrs) parseRecipe([{ lr }], '--tune-lrs');
  for (const seed of own) parseRecipe([{ seed }], '--tune-seeds');
  return { lrs, seeds: own };
}

/**
 * Arms that start from a network of their own name its file, as the recipe does, and its digest: that of the recipe is of another file.
 *
 * @throws {BnnError} E_NOT_FOUND; E_FORMAT when the arm has the digest of another file.
 */
async function withStartFiles(arms: readonly Arm[], shared: Recipe): Promise<Arm[]> {
  return Promise.all(
    arms.map(async (arm) => {
      const { init: own, initSha256: expected = '' } = arm.overrides;
      if (own === undefined && expected === '') return arm;
      const init = await startFileOf(String(own ?? shared.init));
      const initSha256 = init === '' ? expected : await digestOfFile('init', init, String(expected));
      return { ...arm, overrides: { ...arm.overrides, ...(own !== undefined && { init }), initSha256 } };
    }),
  );
}

/** @throws {BnnError} E_USAGE or E_NOT_FOUND when an arm is trained from a network that is none. */
function assertNetworks({ arms, recipes }: ComparisonPlan, networks: Parts['networks']): void {
  for (const [i, { model, init }] of recipes.entries()) {
    if (init !== '') continue;
    if (model !== '') findNetwork(model, networks);
    else {
      throw new BnnError('E_USAGE', `arm "${arms[i]?.name}" starts from no file, and names no network`, {
        at: '--arm',
        hint: 'give it one of the zoo: model=NAME',
      });
    }
  }
}

/** The runs of a comparison lie in folders of their own. */
async function assertNoRun(out: string): Promise<void> {
  if ((await readRecipe(out)) === null) return;
  throw new BnnError('E_USAGE', 'this folder holds a single run, not a comparison', {
    at: out,
    hint: 'choose another --out',
  });
}
