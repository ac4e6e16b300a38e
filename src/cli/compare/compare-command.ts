/**
 * `bnn compare`. A command of its own, not one of `bnn-train`: that takes a recipe as its argument, so a file called `compare` could
 * not be told from the word, and its folder holds one run where this one holds many.
 */

import { Command, InvalidArgumentError, Option } from 'commander';
import type { Communicator } from '../../distributed/communicator.ts';
import { plural } from '../../report/format.ts';
import { visible } from '../../report/visible-text.ts';
import {
  COMPARE_SEEDS,
  type ComparisonPlan,
  compareRecipes,
  PAPER_ESTIMATORS,
  TUNE_SEEDS,
} from '../../tasks/compare-recipes.ts';
import { readRecipeFile } from '../../tasks/read-recipe.ts';
import { JUDGES, type Judge } from '../../training/comparison/comparison.ts';
import { parseRecipe, type RecipeRules } from '../../training/recipes/parse-recipe.ts';
import { BUILT_IN, type Parts } from '../../training/recipes/parts.ts';
import { withInterrupt } from '../interrupt.ts';
import { addExamples, addGeneralOptions, COMMON, type GeneralOptions, terminalOf } from '../options.ts';
import { EXIT_INTERRUPTED } from '../print-error.ts';
import { withProcesses } from '../processes.ts';
import { addPluginOptions, addRecipeOptions, recipeFromOptions, refuseUnusedFields } from '../recipe-options.ts';
import type { Terminal } from '../terminal.ts';
import { formatStep } from '../train/train-report.ts';
import { nameOf } from '../usage-error.ts';
import { formatComparison, formatDiverged, formatRun, formatTuned } from './compare-report.ts';

interface CompareCommandOptions extends GeneralOptions {
  readonly estimators?: readonly string[];
  readonly oEnds?: readonly number[];
  readonly lrs?: readonly number[];
  readonly seeds?: readonly number[];
  readonly arm?: readonly string[];
  readonly tuneLrs?: readonly number[];
  readonly tuneSeeds?: readonly number[];
  readonly judgeBy: Judge;
  readonly plugin?: readonly string[];
  readonly out: string;
}

export function createCompareCommand(name: string, parts: Parts = BUILT_IN): Command {
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
    .addOption(
      new Option('--judge-by <pictures>', 'compare arms by these; held-out (--validation N) for what is to be chosen')
        .choices(JUDGES)
        .default('test'),
    )
    .option('--seeds <list>', `seeds (default: ${COMPARE_SEEDS.join()})`, numbers);
  addRecipeOptions(command, parts.rules);
  addGeneralOptions(command, { threads: false });
  addPluginOptions(command, parts);
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
  ]).action((recipePath: string | undefined, options: CompareCommandOptions) =>
    runCompare(command, recipePath, options, parts.rules),
  );
}

function runCompare(
  command: Command,
  recipePath: string | undefined,
  options: CompareCommandOptions,
  rules: RecipeRules,
): Promise<void> {
  const terminal = terminalOf(options);
  return withProcesses(nameOf(command), terminal, (communicator) =>
    compareWith(command, recipePath, options, rules, terminal, communicator),
  );
}

async function compareWith(
  command: Command,
  recipePath: string | undefined,
  options: CompareCommandOptions,
  rules: RecipeRules,
  terminal: Terminal,
  communicator: Communicator | undefined,
): Promise<void> {
  const given = recipePath === undefined ? [] : [await readRecipeFile(recipePath)];
  const recipe = parseRecipe([{ indicators: true }, ...given, recipeFromOptions(command, rules)], recipePath, rules);
  let count = 0;
  let total = 0;
  const { comparison, results, plot } = await withInterrupt(
    () => terminal.warn('stopping after this step, with a checkpoint; Ctrl-C again stops at once'),
    (signal) =>
      compareRecipes(recipe, {
        ...options,
        arms: options.arm,
        plugins: options.plugin,
        signal,
        communicator,
        onPlan: ({ arms, recipes }) =>
          refuseUnusedFields(
            command,
            recipes.map((one, i) => ({ recipe: one, overrides: { ...arms[i]?.overrides, seed: 0 } })),
            rules,
          ),
        onStart: (plan) => {
          total = plan.runs;
          terminal.note(formatPlan(plan, options.out));
        },
        onStep: (arm, seed, progress) =>
          terminal.live(() => `run ${count + 1}/${total}  ${arm.name} seed ${seed}  ${formatStep(progress)}`),
        onBrokenImage: ({ at, message }) => terminal.warn(`left out a broken picture: ${at}: ${message}`),
        onNote: (note) => terminal.note(`note: ${visible(note)}`),
        onTuned: (arm, tried, lr) => {
          terminal.event('tuned', { arm: arm.name, tried, lr });
          terminal.note(formatTuned(arm, tried, lr));
        },
        onRun: (arm, run, isNew) => {
          count++;
          terminal.event('run', { arm: arm.name, isNew, ...run });
          terminal.note(formatRun(count, total, arm, run, isNew, options.judgeBy));
        },
        onDiverged: (arm, run, isNew) => {
          count++;
          terminal.event('diverged', { arm: arm.name, isNew, ...run });
          terminal.note(formatDiverged(count, total, arm, run, isNew));
        },
      }),
  );
  terminal.clearLive();
  terminal.event('result', { out: options.out, results, plot, ...comparison });
  if (comparison.arms.some(({ runs, diverged }) => runs.length + diverged.length > 0))
    terminal.result(`${formatComparison(comparison)}\n`);
  terminal.result(visible(`wrote ${results}${plot === null ? '' : ` and ${plot}`}`));
  if (!comparison.isComplete) {
    terminal.warn('interrupted: the same command goes on where it stopped');
    process.exitCode = EXIT_INTERRUPTED;
  }
}

function formatPlan({ arms, seeds, tuning, runs, recipe }: ComparisonPlan, out: string): string {
  const choice = tuning === undefined ? '' : ' and the choice of learning rates';
  return `${plural(arms.length, 'arm')} × ${plural(seeds.length, 'seed')}${choice} = ${plural(runs, 'run')} of ${plural(recipe.epochs, 'epoch')} in ${visible(out)}`;
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
