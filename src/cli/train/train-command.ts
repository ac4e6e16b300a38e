/** `bnn-train`. */

import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { Command } from 'commander';
import { type Communicator, fromFirst } from '../../distributed/communicator.ts';
import { isFollower } from '../../distributed/launcher.ts';
import { BnnError } from '../../errors.ts';
import { formatBytes } from '../../report/format.ts';
import { visible } from '../../report/visible-text.ts';
import { describeEnvironment } from '../../tasks/environment.ts';
import { openTeacher } from '../../tasks/open-teacher.ts';
import { freeFile } from '../../tasks/output-file.ts';
import { readRecipeFile, withModelFiles, withTeacherFile } from '../../tasks/read-recipe.ts';
import { parseRecipe, type RecipeRules } from '../../training/recipes/parse-recipe.ts';
import { BUILT_IN, type Parts } from '../../training/recipes/parts.ts';
import { networkName, type Recipe, type RecipeInput } from '../../training/recipes/recipe.ts';
import { readRecipe } from '../../training/sessions/run-folder-io.ts';
import type { Opening, TrainResult } from '../../training/sessions/train-options.ts';
import { findNetwork } from '../../zoo/zoo.ts';
import { withInterrupt } from '../interrupt.ts';
import { addExamples, addGeneralOptions, COMMON, type GeneralOptions, terminalOf } from '../options.ts';
import { EXIT_INTERRUPTED } from '../print-error.ts';
import { withProcesses } from '../processes.ts';
import { addPluginOptions, addRecipeOptions, recipeFromOptions, refuseUnusedFields } from '../recipe-options.ts';
import { type Terminal, widthOf } from '../terminal.ts';
import { nameOf } from '../usage-error.ts';
import { EpochTable, formatClosing, formatOpening, formatStep, quote } from './train-report.ts';
import { addWatchOptions, openWatchers } from './watchers.ts';

interface TrainCommandOptions extends GeneralOptions {
  readonly out?: string;
  readonly resume?: boolean;
  readonly plugin?: readonly string[];
  readonly tensorboard?: string | true;
  readonly live?: number | true;
}

export function createTrainCommand(name: string, parts: Parts = BUILT_IN): Command {
  const command = new Command(name)
    .description(
      'Trains a network of the zoo or of an ONNX file and keeps everything in a run folder: recipe.json, history.jsonl, and the checkpoints last/ and best/.',
    )
    .argument('[recipe]', 'a recipe as JSON, or the name of one (bnn models); options override its fields')
    .optionsGroup(COMMON)
    .option('--out <folder>', 'the run folder (default: runs/MODEL-DATASET-N)')
    .option('--resume', 'continue the run in --out exactly where it stopped; its recipe stays');
  addWatchOptions(command);
  addRecipeOptions(command, parts.rules);
  addGeneralOptions(command, { threads: false });
  addPluginOptions(command, parts);
  return addExamples(command, [
    [
      'bnn-train --model binarynet-mini --dataset mnist --epochs 3 --out runs/mnist',
      'a first network, on data that are built in',
    ],
    [
      'bnn-train --model resnet20 --dataset cifar10 --data ~/cifar --epochs 20 --pad-crop 4 --flip --validation 5000',
      'ResNet-20 with augmentation; the best epoch is chosen by held-out pictures',
    ],
    [
      'bnn-train --init start.onnx --dataset cifar10 --data ~/cifar --epochs 20 --out runs/start',
      'a network from elsewhere, brought into latent form by bnn-convert',
    ],
    ['bnn-train --resume --out runs/mnist', 'after Ctrl-C or a power cut'],
  ]).action((recipePath: string | undefined, options: TrainCommandOptions) =>
    runTrain(command, recipePath, options, parts),
  );
}

function runTrain(
  command: Command,
  recipePath: string | undefined,
  options: TrainCommandOptions,
  parts: Parts,
): Promise<void> {
  const terminal = terminalOf(options);
  return withProcesses(nameOf(command), terminal, (communicator) =>
    trainWith(command, recipePath, options, parts, terminal, communicator),
  );
}

async function trainWith(
  command: Command,
  recipePath: string | undefined,
  options: TrainCommandOptions,
  parts: Parts,
  terminal: Terminal,
  communicator: Communicator | undefined,
): Promise<void> {
  const plan = () => planRun(command, recipePath, options, parts);
  const { recipe, out } = communicator === undefined ? await plan() : await fromFirst(communicator, plan);
  const resume = options.resume === true;
  const { train } = await import('../../training/sessions/trainer.ts');
  const watchers = await openWatchers(isFollower() ? {} : options, recipe, out, terminal);
  const environment = await describeEnvironment();
  const { teacher, close } = await openTeacher(recipe, communicator);
  const table = new EpochTable(recipe, widthOf(process.stderr));
  const result = await withInterrupt(
    () => terminal.warn('stopping after this step, with a checkpoint; Ctrl-C again stops at once'),
    (signal) =>
      watchers.during(train)(recipe, {
        out,
        resume,
        signal,
        teacher,
        communicator,
        plugins: options.plugin,
        environment,
        onData: ({ phase, doneBytes, totalBytes }) =>
          terminal.live(
            () =>
              `${phase === 'download' ? 'downloading' : 'reading'} the data: ${formatBytes(doneBytes)}${totalBytes === undefined ? '' : ` of ${formatBytes(totalBytes)}`}`,
          ),
        onStart: (opening) => {
          terminal.event('start', startEvent(opening, out));
          terminal.note(formatOpening(opening, out));
          if (!opening.isComplete) terminal.note(table.header);
        },
        onBrokenImage: ({ at, message }) => terminal.warn(`left out a broken picture: ${at}: ${message}`),
        onNote: (note) => terminal.note(`note: ${visible(note)}`),
        onStep: (progress) => terminal.live(() => formatStep(progress)),
        onEpoch: (record) => {
          terminal.event('epoch', record);
          terminal.note(table.row(record));
        },
      }),
  )
    .finally(close)
    .finally(() => watchers.close());
  await report(result, recipe, terminal);
}

/** What is trained, and where. */
async function planRun(
  command: Command,
  recipePath: string | undefined,
  options: TrainCommandOptions,
  { rules, networks }: Parts,
): Promise<{ readonly recipe: Recipe; readonly out: string }> {
  const resume = options.resume === true;
  const inputs = [
    ...(recipePath === undefined ? [] : [await readRecipeFile(recipePath)]),
    recipeFromOptions(command, rules),
  ];
  const given = resume ? await resumedRecipe(options.out, inputs, rules) : parseRecipe(inputs, recipePath, rules);
  checkNetwork(given, inputs, networks);
  refuseUnusedFields(command, [{ recipe: given }], rules);
  const recipe = await (resume ? withTeacherFile(given) : withModelFiles(given));
  return { recipe, out: options.out ?? freeRunFolder(recipe) };
}

async function report(result: TrainResult, recipe: Recipe, terminal: Terminal): Promise<void> {
  const { run, epochs, seconds, imagesPerSecond, testTop1, best, interrupted } = result;
  const checkpoint = join(run, 'last');
  terminal.clearLive();
  terminal.event('result', { run, epochs, seconds, imagesPerSecond, testTop1, best, interrupted, checkpoint });
  if (interrupted) {
    const next = `bnn-train --resume --out ${quote(run)}`;
    terminal.warn(`interrupted: the checkpoint is ${checkpoint}; continue with ${next}`);
    process.exitCode = EXIT_INTERRUPTED;
    return;
  }
  const exported = freeFile(basename(resolve(run)) || 'model');
  terminal.result(formatClosing(result, recipe, checkpoint, await sizeOf(join(checkpoint, 'model.onnx')), exported));
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch {
    return null;
  }
}

function startEvent({ recipe, dataset, backend, parameters, stepsPerEpoch, from }: Opening, out: string): object {
  return {
    run: out,
    recipe,
    dataset: {
      name: dataset.name,
      root: dataset.root,
      fingerprint: dataset.fingerprint,
      train: dataset.train.count,
      test: dataset.test.count,
    },
    backend: backend.name,
    backendDescription: backend.description,
    parameters,
    stepsPerEpoch,
    from,
  };
}

/** Says before any work that there is no such network, or that there are two: a start that is given later takes the place of a recipe's network. */
function checkNetwork({ model, init }: Recipe, inputs: readonly RecipeInput[], networks: Parts['networks']): void {
  if (init === '') {
    findNetwork(model, networks);
    return;
  }
  const isGiven = (value: unknown): boolean => value !== undefined && value !== '';
  const from = inputs.findLastIndex((input) => isGiven(input['init']));
  const named = inputs
    .slice(from)
    .map((input) => input['model'])
    .find(isGiven);
  if (named !== undefined) {
    throw new BnnError('E_USAGE', `the network is ${init}, and also "${String(named)}"`, {
      hint: 'give either --init or --model',
    });
  }
}

/** The recipe of the run, with what was given besides; that it is the same is checked where the run folder is opened. */
async function resumedRecipe(
  out: string | undefined,
  inputs: readonly RecipeInput[],
  rules: RecipeRules,
): Promise<Recipe> {
  if (out === undefined) {
    throw new BnnError('E_USAGE', '--resume needs --out', { hint: 'bnn-train --resume --out runs/NAME' });
  }
  const before = await readRecipe(out, rules);
  if (before === null) {
    throw new BnnError('E_NOT_FOUND', 'there is no run to continue: no recipe.json', {
      at: out,
      hint: 'check --out, or leave --resume out to start a new run',
    });
  }
  return parseRecipe([{ ...before }, ...inputs], join(out, 'recipe.json'), rules);
}

function freeRunFolder(recipe: Recipe): string {
  for (let n = 1; ; n++) {
    const folder = join('runs', `${networkName(recipe)}-${recipe.dataset}-${n}`);
    if (!existsSync(folder)) return folder;
  }
}
