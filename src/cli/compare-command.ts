/**
 * `bnn compare`. A command of its own, not one of `bnn-train`: that takes a recipe as its argument, so a file called `compare` could
 * not be told from the word, and its folder holds one run where this one holds many.
 */

import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { writeFileAtomic } from '../core/atomic-file-io.ts';
import { BnnError } from '../errors.ts';
import { findModel } from '../inference/model-source-io.ts';
import { plural } from '../report/format.ts';
import { plotEquilibrium } from '../report/plot-equilibrium.ts';
import { visible } from '../report/visible-text.ts';
import { describeEnvironment } from '../tasks/environment.ts';
import { openTeacher } from '../tasks/open-teacher.ts';
import { readRecipeFile, withModelFiles } from '../tasks/read-recipe.ts';
import { type Arm, assertNoTwins, createArms } from '../training/comparison.ts';
import { withInitialDigest } from '../training/initial-model-io.ts';
import { missingUse, parseRecipe, type Recipe } from '../training/recipe.ts';
import type { Tuning } from '../training/run-comparison-io.ts';
import { readRecipe } from '../training/run-folder-io.ts';
import { findNetwork } from '../zoo/zoo.ts';
import { formatCsv, formatLatex } from './compare-files.ts';
import { equilibriumPanels, formatComparison, formatRun, formatTuned, plotTitles } from './compare-report.ts';
import { withInterrupt } from './interrupt.ts';
import { addExamples, addGeneralOptions, COMMON, type GeneralOptions, terminalOf } from './options.ts';
import { assertWritable } from './output-file.ts';
import { EXIT_INTERRUPTED } from './print-error.ts';
import { addRecipeOptions, recipeFromOptions, refuseUnusedFields } from './recipe-options.ts';
import { formatStep } from './train/train-report.ts';

interface CompareOptions extends GeneralOptions {
  readonly estimators?: readonly string[];
  readonly oEnds?: readonly number[];
  readonly lrs?: readonly number[];
  readonly seeds?: readonly number[];
  readonly arm?: readonly string[];
  readonly tuneLrs?: readonly number[];
  readonly tuneSeeds?: readonly number[];
  readonly out: string;
}

/** The estimators of the paper's comparison (its Table 3). */
const PAPER_ESTIMATORS = ['ste', 'dsq', 'ede', 'fda', 'rbnn', 'reste'];
const SEEDS = [1, 2, 3, 4, 5];
const TUNE_SEEDS = [1001];
const RESULTS = 'results.json';
const PLOT = 'equilibrium.svg';

export function createCompareCommand(name: string): Command {
  const command = new Command(name)
    .description(
      'Trains several estimators, or whatever differs between recipes, over the same seeds and data, and prints mean ± standard deviation and paired differences from the first. Call it again with the same --out to go on where it stopped.',
    )
    .argument('[recipe]', 'a recipe as JSON; options override its fields')
    .optionsGroup(COMMON)
    .option(
      '--out <folder>',
      'holds the runs, results.json, results.csv, results.tex and equilibrium.svg',
      'runs/compare',
    )
    .option(
      '--estimators <list>',
      `what to compare, separated by commas (default: ${PAPER_ESTIMATORS.join()}; none with --o-ends or --arm)`,
      texts,
    )
    .option('--o-ends <list>', 'final powers of ReSTE to sweep: 1,2,3,5,10', numbers)
    .option(
      '--arm <name:field=value,…>',
      'another arm, over any fields of the recipe; may be given several times, the first arm is what others are compared with',
      (spec: string, before: readonly string[] = []) => [...before, spec],
    )
    .option('--lrs <list>', 'train everything with each of these learning rates', numbers)
    .option(
      '--tune-lrs <list>',
      'choose the learning rate of each arm among these, by held-out pictures (--validation N), before its runs',
      numbers,
    )
    .option('--tune-seeds <list>', `seeds that rates are chosen with (default: ${TUNE_SEEDS.join()})`, numbers)
    .option('--seeds <list>', `seeds (default: ${SEEDS.join()})`, numbers);
  addRecipeOptions(command);
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    [
      'bnn compare --model binarynet-mini --dataset mnist --epochs 3 --limit-train 6000 --out runs/compare-mnist',
      'the estimators of the ReSTE paper on embedded data',
    ],
    [
      'bnn compare --model resnet20 --dataset cifar10 --data ~/cifar --epochs 20 --o-ends 1,1.5,2,3,5,10 --out runs/sweep',
      'the equilibrium plot over the final power of ReSTE',
    ],
    [
      'bnn compare recipe.json --estimators ste,reste --validation 5000 --tune-lrs 0.03,0.1,0.3 --out runs/fair',
      'estimators scale gradients differently: each gets the learning rate that suits it on held-out pictures',
    ],
    [
      "bnn compare recipe.json --arm 'base:' --arm 'weights only:weightEstimator=reste,estimator=ste' --out runs/roles",
      'arms over any fields of the recipe',
    ],
  ]).action((recipePath: string | undefined, options: CompareOptions) => runCompare(command, recipePath, options));
}

async function runCompare(command: Command, recipePath: string | undefined, options: CompareOptions): Promise<void> {
  const terminal = terminalOf(options);
  const given = recipePath === undefined ? [] : [await readRecipeFile(recipePath)];
  const recipe = await withInitialDigest(
    await withModelFiles(parseRecipe([{ indicators: true }, ...given, recipeFromOptions(command)], recipePath)),
  );
  if (recipe.init === '') findNetwork(recipe.model);
  const { oEnds = [], lrs = [], seeds = SEEDS, arm: specs = [], out } = options;
  const { estimators = oEnds.length + specs.length > 0 ? [] : PAPER_ESTIMATORS } = options;
  const arms = await withStartFiles(createArms({ estimators, oEnds, lrs, specs }));
  const tuning = tuningOf(options, recipe, seeds, arms);
  assertNoTwins(recipe, arms);
  const { checkRecipe } = await import('../training/trainer.ts');
  const { runComparison } = await import('../training/run-comparison-io.ts');
  // What is wrong with an arm should not come out after hours.
  const recipes = arms.map(({ name, overrides }) => ({
    recipe: parseRecipe([{ ...recipe }, overrides], `arm "${name}"`),
    overrides: { ...overrides, seed: 0 },
  }));
  refuseUnusedFields(command, recipes);
  assertArmsDiffer(arms, recipes);
  for (const arm of recipes) checkRecipe(arm.recipe);
  for (const seed of seeds) parseRecipe([{ seed }], '--seeds');
  if (new Set(seeds).size !== seeds.length) throw new BnnError('E_USAGE', 'a seed is given twice', { at: '--seeds' });

  await assertNoRun(out);
  for (const name of [RESULTS, PLOT]) await assertWritable(join(out, name));
  const { teacher, close } = await openTeacher(recipe);
  let count = 0;
  const total = arms.length * (seeds.length + (tuning === undefined ? 0 : tuning.lrs.length * tuning.seeds.length));
  const environment = await describeEnvironment();
  terminal.note(
    `${plural(arms.length, 'arm')} × ${plural(seeds.length, 'seed')}${tuning === undefined ? '' : ' and the choice of learning rates'} = ${plural(total, 'run')} of ${plural(recipe.epochs, 'epoch')} in ${visible(out)}`,
  );
  const comparison = await withInterrupt(
    () => terminal.warn('stopping after this step, with a checkpoint; Ctrl-C again stops at once'),
    (signal) =>
      runComparison(recipe, {
        out,
        arms,
        seeds,
        tuning,
        environment,
        signal,
        teacher,
        listen: (arm, seed) => ({
          onStep: (progress) =>
            terminal.live(() => `run ${count + 1}/${total}  ${arm.name} seed ${seed}  ${formatStep(progress)}`),
        }),
        onTuned: (arm, tried, lr) => {
          terminal.event('tuned', { arm: arm.name, tried, lr });
          terminal.note(formatTuned(arm, tried, lr));
        },
        onRun: (arm, run, isNew) => {
          count++;
          terminal.event('run', { arm: arm.name, isNew, ...run });
          terminal.note(formatRun(count, total, arm, run, isNew));
        },
      }),
  ).finally(close);

  const panels = equilibriumPanels(comparison);
  const plot = panels.length === 0 ? null : join(out, PLOT);
  if (plot !== null) await writeFileAtomic(plot, plotEquilibrium(panels, plotTitles(comparison)));
  const results = join(out, RESULTS);
  await writeFileAtomic(join(out, 'results.csv'), formatCsv(comparison));
  await writeFileAtomic(join(out, 'results.tex'), formatLatex(comparison));
  terminal.clearLive();
  terminal.event('result', { out, results, plot, ...comparison });
  if (comparison.arms.some(({ runs }) => runs.length > 0)) terminal.result(`${formatComparison(comparison)}\n`);
  terminal.result(visible(`wrote ${results}${plot === null ? '' : ` and ${plot}`}`));
  if (!comparison.isComplete) {
    terminal.warn('interrupted: the same command goes on where it stopped');
    process.exitCode = EXIT_INTERRUPTED;
  }
}

/** @throws {BnnError} E_USAGE when what an arm is about does nothing in its recipe, so that it would equal others. */
function assertArmsDiffer(arms: readonly Arm[], recipes: readonly { readonly recipe: Recipe }[]): void {
  for (const [i, { name, overrides }] of arms.entries()) {
    for (const field of Object.keys(overrides) as (keyof Recipe)[]) {
      const recipe = recipes[i]?.recipe;
      const missing = recipe === undefined ? null : missingUse(field, recipe);
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

/** Arms that start from a network of their own name its file, as the recipe does. */
async function withStartFiles(arms: readonly Arm[]): Promise<Arm[]> {
  return Promise.all(
    arms.map(async (arm) => {
      const { init } = arm.overrides;
      if (typeof init !== 'string' || init === '') return arm;
      return { ...arm, overrides: { ...arm.overrides, init: (await findModel(init)).path } };
    }),
  );
}

/** The runs of a comparison lie in folders of their own. */
async function assertNoRun(out: string): Promise<void> {
  if ((await readRecipe(out)) === null) return;
  throw new BnnError('E_USAGE', 'this folder holds a single run, not a comparison', {
    at: out,
    hint: 'choose another --out',
  });
}

function texts(list: string): string[] {
  return list.split(',').map((item) => item.trim());
}

function numbers(list: string): number[] {
  return texts(list).map((item) => {
    const value = Number(item);
    if (item !== '' && Number.isFinite(value)) return value;
    throw new InvalidArgumentError('Expected numbers with commas between them, such as 1,2,3.');
  });
}
