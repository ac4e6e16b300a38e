/** `bnn-predict`. */

import { Command, Option } from 'commander';
import { FITS, type Fit } from '../../core/pictures/preprocessing.ts';
import { BnnError } from '../../errors.ts';
import { plural } from '../../report/format.ts';
import { formatBar } from '../../report/progress.ts';
import { visible } from '../../report/visible-text.ts';
import { type PredictedPicture, predictPictures } from '../../tasks/predict-pictures.ts';
import { readClassNames } from '../../tasks/read-class-names.ts';
import {
  ADVANCED,
  addExamples,
  addGeneralOptions,
  COMMON,
  type GeneralOptions,
  terminalOf,
  wholeNumber,
} from '../options.ts';
import { EXIT_FAILED } from '../print-error.ts';
import {
  addAdvancedProviderOptions,
  addProviderOption,
  type ProviderFlags,
  providerChoiceOf,
} from '../provider-flags.ts';
import { addSessionOptions, type SessionFlags } from '../session-flags.ts';
import { CSV_HEAD, csvLines } from './csv.ts';

interface PredictCommandOptions extends GeneralOptions, ProviderFlags, SessionFlags<'imagenet' | 'none'> {
  readonly top?: number;
  readonly csv?: boolean;
  readonly fit?: Fit;
  readonly imageSize?: number;
  readonly classes?: string;
}

const DEFAULT_TOP = 5;
const MOST_CLASSES = 2 ** 24;
const LARGEST_SIDE = 4096;

export function createPredictCommand(name: string): Command {
  const command = new Command(name)
    .description(
      'Says what is on pictures: the most likely classes and their probabilities. Pictures are prepared as the model says, and decisions are those of bnn-validate. Pictures that cannot be read are named; the others go on.',
    )
    .argument('<model>', 'an ONNX file, or a run folder')
    .argument('<picture...>', 'pictures, or folders of them')
    .optionsGroup(COMMON)
    .option(
      '--top <k>',
      'classes of each picture (default: 5 for one picture, 1 for several)',
      wholeNumber(1, MOST_CLASSES),
    )
    .option('--csv', 'print a table with commas: picture, rank, class, index, probability')
    .optionsGroup(ADVANCED)
    .addOption(new Option('--fit <how>', 'how pictures are framed, instead of what the file says').choices(FITS))
    .option('--image-size <n>', 'side of the square, for a model of any size', wholeNumber(1, LARGEST_SIDE))
    .option('--classes <file>', 'names of the classes, one a line, instead of those in the file');
  addSessionOptions(command, ['imagenet', 'none']);
  addProviderOption(command);
  addAdvancedProviderOptions(command);
  addGeneralOptions(command);
  return addExamples(command, [
    ['bnn-predict photos.onnx cat.jpg', 'what is on a picture'],
    ['bnn-predict runs/photos photos/test --csv > classes.csv', 'of a folder, by the network of a run'],
    ['bnn-predict foreign.onnx cat.jpg --normalize imagenet --fit squash', 'where the file does not say how'],
  ]).action((model: string, pictures: string[], options: PredictCommandOptions) =>
    runPredict(model, pictures, options),
  );
}

async function runPredict(model: string, pictures: readonly string[], options: PredictCommandOptions): Promise<void> {
  const terminal = terminalOf(options);
  if (options.csv === true && options.json === true) {
    throw new BnnError('E_USAGE', '--csv and --json are two forms of one result', { hint: 'leave one of them out' });
  }
  const { classes: file, csv = false } = options;
  const classes = file === undefined ? undefined : await readClassNames(file);
  let total = 0;
  const show = (picture: PredictedPicture): void => {
    const top = options.top ?? (total === 1 ? DEFAULT_TOP : 1);
    const shown = { ...picture, guesses: picture.guesses.slice(0, top) };
    terminal.event('picture', shown);
    if (csv) terminal.raw(csvLines(shown));
    else terminal.result(formatPicture(shown));
  };
  if (csv) terminal.raw(CSV_HEAD);
  const result = await predictPictures({
    ...options,
    ...providerChoiceOf(options),
    model,
    pictures,
    classes,
    top: options.top ?? DEFAULT_TOP,
    onFiles: (count) => {
      total = count;
    },
    onPicture: show,
    onBroken: ({ picture, code, message }) => {
      terminal.event('broken', { picture, code, message });
      terminal.error(`${terminal.paint('red', `error[${code}]`)} ${visible(picture)}: ${visible(message)}`);
    },
    onProgress: (done, all) => {
      if (done < all) terminal.live(() => `${formatBar(done / all)}  ${done}/${all}`);
    },
    onNote: (note) => terminal.note(`note: ${visible(note)}`),
  });
  terminal.clearLive();
  terminal.event('result', result);
  if (result.broken === 0) return;
  terminal.error(`${plural(result.broken, 'picture')} of ${total} could not be classified`);
  process.exitCode = EXIT_FAILED;
}

/** One line for one class, a block for several. */
function formatPicture({ picture, guesses }: PredictedPicture): string {
  const lines = guesses.map(({ name, probability }) => `${percent(probability)}  ${visible(name)}`);
  const [first = ''] = lines;
  return lines.length === 1 ? `${first}  ${visible(picture)}` : [visible(picture), ...lines].join('\n');
}

function percent(probability: number): string {
  return `${(100 * probability).toFixed(1).padStart(5)} %`;
}
