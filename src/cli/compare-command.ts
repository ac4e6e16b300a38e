/**
 * `bnn compare`. A command of its own, not one of `bnn-train`: that takes a recipe as its argument, so a file called `compare` could
 * not be told from the word, and its folder holds one run where this one holds many.
 */

import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { writeFileAtomic } from '../core/atomic-file-io.ts';
import { BnnError } from '../errors.ts';
import { plural } from '../report/format.ts';
import { plotEquilibrium } from '../report/plot-equilibrium.ts';
import { createArms } from '../training/comparison.ts';
import { withInitialDigest } from '../training/initial-model-io.ts';
import { parseRecipe } from '../training/recipe.ts';
import { readRecipe } from '../training/run-folder-io.ts';
import { findNetwork } from '../zoo/zoo.ts';
import { equilibriumPanels, formatComparison, formatRun, plotTitles } from './compare-report.ts';
import { withInterrupt } from './interrupt.ts';
import { openTeacher } from './open-teacher.ts';
import { addExamples, addGeneralOptions, COMMON, type GeneralOptions, terminalOf } from './options.ts';
import { EXIT_INTERRUPTED } from './print-error.ts';
import { readRecipeFile, withModelFiles } from './read-recipe.ts';
import { addRecipeOptions, recipeFromOptions } from './recipe-options.ts';
import { formatStep } from './train-report.ts';

interface CompareOptions extends GeneralOptions {
  readonly estimators?: readonly string[];
  readonly oEnds?: readonly number[];
  readonly lrs?: readonly number[];
  readonly seeds?: readonly number[];
  readonly out: string;
}

/** The estimators of the paper's comparison (its Table 3). */
const PAPER_ESTIMATORS = ['ste', 'dsq', 'ede', 'fda', 'rbnn', 'reste'];
const SEEDS = [1, 2, 3];

export function createCompareCommand(name: string): Command {
  const command = new Command(name)
    .description(
      'Trains several estimators by one recipe over the same seeds and data, and prints mean ± standard deviation. Call it again with the same --out to go on where it stopped.',
    )
    .argument('[recipe]', 'a recipe as JSON; options override its fields')
    .optionsGroup(COMMON)
    .option('--out <folder>', 'holds the runs, results.json and equilibrium.svg', 'runs/compare')
    .option(
      '--estimators <list>',
      `what to compare, separated by commas (default: ${PAPER_ESTIMATORS.join()}; none with --o-ends)`,
      texts,
    )
    .option('--o-ends <list>', 'final powers of ReSTE to sweep: 1,2,3,5,10', numbers)
    .option('--lrs <list>', 'train everything with each of these learning rates', numbers)
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
      'bnn compare recipe.json --estimators ste,reste --lrs 0.03,0.1,0.3 --seeds 1,2,3,4,5 --out runs/fair',
      'estimators scale gradients differently: compare them at several learning rates',
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
  const { oEnds = [], lrs = [], seeds = SEEDS, out } = options;
  const { estimators = oEnds.length > 0 ? [] : PAPER_ESTIMATORS } = options;
  const arms = createArms({ estimators, oEnds, lrs });
  const { checkRecipe } = await import('../training/trainer.ts');
  const { runComparison } = await import('../training/run-comparison-io.ts');
  // What is wrong with an arm should not come out after hours.
  for (const arm of arms) checkRecipe(parseRecipe([{ ...recipe }, arm.overrides], `arm "${arm.name}"`));
  for (const seed of seeds) parseRecipe([{ seed }], '--seeds');
  if (new Set(seeds).size !== seeds.length) throw new BnnError('E_USAGE', 'a seed is given twice', { at: '--seeds' });

  await assertNoRun(out);
  const { teacher, close } = await openTeacher(recipe);
  let count = 0;
  const total = arms.length * seeds.length;
  terminal.note(
    `${plural(arms.length, 'arm')} × ${plural(seeds.length, 'seed')} = ${plural(total, 'run')} of ${plural(recipe.epochs, 'epoch')} in ${out}`,
  );
  const comparison = await withInterrupt(
    () => terminal.warn('stopping after this step, with a checkpoint; Ctrl-C again stops at once'),
    (signal) =>
      runComparison(recipe, {
        out,
        arms,
        seeds,
        signal,
        teacher,
        listen: (arm, seed) => ({
          onStep: (progress) =>
            terminal.live(() => `run ${count + 1}/${total}  ${arm.name} seed ${seed}  ${formatStep(progress)}`),
        }),
        onRun: (arm, run, isNew) => {
          count++;
          terminal.event('run', { arm: arm.name, isNew, ...run });
          terminal.note(formatRun(count, total, arm, run, isNew));
        },
      }),
  ).finally(close);

  const panels = equilibriumPanels(comparison);
  const plot = panels.length === 0 ? null : join(out, 'equilibrium.svg');
  if (plot !== null) await writeFileAtomic(plot, plotEquilibrium(panels, plotTitles(comparison)));
  const results = join(out, 'results.json');
  terminal.clearLive();
  terminal.event('result', { out, results, plot, ...comparison });
  if (comparison.arms.some(({ runs }) => runs.length > 0)) terminal.result(`${formatComparison(comparison)}\n`);
  terminal.result(`wrote ${results}${plot === null ? '' : ` and ${plot}`}`);
  if (!comparison.isComplete) {
    terminal.warn('interrupted: the same command goes on where it stopped');
    process.exitCode = EXIT_INTERRUPTED;
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
