/** `bnn-convert`. */

import { Command, Option } from 'commander';
import type { SignZero } from '../../convert/signs/sign-log.ts';
import { writeFileAtomic } from '../../core/files/atomic-file-io.ts';
import { FITS, type Fit } from '../../core/pictures/preprocessing.ts';
import { DATASET_NAMES } from '../../data/load-dataset.ts';
import { BnnError } from '../../errors.ts';
import { formatBytes } from '../../report/format.ts';
import { formatPairs } from '../../report/table.ts';
import { visible } from '../../report/visible-text.ts';
import { type ConvertedFile, convertFile, DEFAULT_INPUTS } from '../../tasks/convert-file.ts';
import { PIXEL_RANGES, type PixelRange } from '../../tasks/convert-inputs.ts';
import { writeDescription } from '../../tasks/description-file.ts';
import { assertKept, assertWritable, weightsOf } from '../../tasks/output-file.ts';
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
import { sizeLines } from '../size-report.ts';
import type { Terminal } from '../terminal.ts';
import { refuseUnused } from '../unused-options.ts';
import { formatCheck, formatVerdicts, formatWhatIf, signNotes } from './convert-report.ts';

interface ConvertCommandOptions extends GeneralOptions {
  readonly output?: string;
  readonly packed?: string;
  readonly network?: string;
  readonly mapping?: string;
  readonly prefix?: string;
  readonly signZero: SignZero;
  readonly whatIf?: boolean;
  readonly verify?: boolean;
  readonly memory?: boolean;
  readonly dataset?: string;
  readonly data?: string;
  readonly pixels?: PixelRange;
  readonly limit?: number;
  readonly normalize?: 'imagenet' | 'none';
  readonly fit?: Fit;
  readonly imageSize?: number;
  readonly classes?: string;
  readonly binarize?: boolean;
  readonly only?: readonly string[];
  readonly except?: readonly string[];
  readonly minWeights?: number;
  readonly dense?: boolean;
  readonly weightsOnly?: boolean;
}

const LARGEST_SIDE = 4096;

export function createConvertCommand(name: string): Command {
  const command = new Command(name)
    .description(
      'Reads a network from elsewhere, an ONNX file or a checkpoint of PyTorch or Keras, and writes it in latent form, for training and for bnn-export. A table says what became of every layer, and why.',
    )
    .argument('<model>', 'an .onnx file, or a checkpoint: .pt, .pth, .pth.tar, .safetensors, .h5 or .keras')
    .optionsGroup(COMMON)
    .option('-o, --output <file>', 'the latent ONNX file to write; without it, only the table is printed')
    .option('--packed <file>', 'write the packed form too')
    .option('--verify', 'run source and result in a stock onnxruntime; nothing is written when they differ')
    .option('--memory', 'measure what sessions of the packed form take in memory')
    .option('--network <name>', 'of a checkpoint: the network that it belongs to, e.g. resnet20')
    .option('--mapping <file>', 'of a checkpoint: a JSON file that lists its layers (see docs/convert.md)')
    .option(
      '--prefix <text>',
      'of a checkpoint with several networks: what the names of the one begin with, e.g. student.',
    )
    .addOption(
      new Option('--sign-zero <rule>', 'signs that give 0 at 0: kept exactly, or +1 there')
        .choices(['exact', 'plus'])
        .default('exact'),
    )
    .option('--what-if', 'count the inputs that would be decided differently under other rules for signs at 0')
    .optionsGroup('Options for --verify and --what-if:')
    .option('--dataset <name>', `test pictures instead of random inputs: ${DATASET_NAMES.join(', ')}`)
    .option('--data <folder>', 'folder or archive of the data set')
    .addOption(
      new Option(
        '--pixels <range>',
        'numbers that the network takes (default: 0..1 for pictures, normalized for random inputs)',
      ).choices(PIXEL_RANGES),
    )
    .option('--limit <n>', `inputs to run (default: ${DEFAULT_INPUTS})`, wholeNumber(1))
    .optionsGroup('Options that say what pictures it wants, in the files and in MODEL.json:')
    .addOption(new Option('--normalize <how>', 'statistics that it was trained with').choices(['imagenet', 'none']))
    .addOption(new Option('--fit <how>', 'how pictures are framed (default: crop)').choices(FITS))
    .option('--image-size <n>', 'side of the square, for a network of any size', wholeNumber(1, LARGEST_SIDE))
    .option('--classes <file>', 'names of the classes, one a line')
    .optionsGroup(ADVANCED)
    .option(
      '--binarize',
      'make the convolutions of a float network binary, apart from the first and the last, as a start for training',
    )
    .option('--only <pattern...>', 'with --binarize: the layers of these names instead; * is a wildcard')
    .option('--except <pattern...>', 'with --binarize: leave layers of these names in float')
    .option('--min-weights <n>', 'with --binarize: leave smaller layers in float', wholeNumber(0))
    .option('--dense', 'with --binarize: dense layers too')
    .option('--weights-only', 'with --binarize: leave the activations in float');
  addGeneralOptions(command);
  return addExamples(command, [
    [
      'bnn-convert larq.onnx -o latent.onnx --packed packed.onnx --verify',
      'a trained binary network, packed and compared with its source',
    ],
    [
      'bnn-convert model_best.pth.tar --network resnet20 -o latent.onnx',
      'a PyTorch checkpoint of a network that is built in',
    ],
    [
      'bnn-convert net.onnx -o latent.onnx --normalize imagenet --fit squash',
      'what its pictures are, for bnn-predict, bnn web and the samples',
    ],
    ['bnn-convert net.onnx --what-if --dataset mnist', 'how much depends on what signs give at 0'],
    ['bnn-convert float.onnx --binarize --except "head*" -o start.onnx', 'a start for training a binary network'],
  ]).action((model: string, options: ConvertCommandOptions) => runConvert(model, options));
}

async function runConvert(path: string, options: ConvertCommandOptions): Promise<void> {
  const terminal = terminalOf(options);
  assertOptions(options);
  const outputs = [options.output, options.packed].filter((file) => file !== undefined);
  for (const file of outputs) await assertWritable(file, path);
  if (options.output !== undefined && options.packed !== undefined) {
    await assertWritable(options.packed, options.output, 'both forms would go into one file');
  }
  await assertKept(outputs, [
    { what: 'the mapping', path: options.mapping },
    { what: 'the names of classes', path: options.classes },
    { what: 'the data', path: options.data },
  ]);
  const { only, except, minWeights, dense, weightsOnly } = options;
  const binarize = options.binarize === true ? { only, except, minWeights, dense, weightsOnly } : undefined;
  const pictures = await picturesOf(options);
  const result = await convertFile(path, { ...options, binarize, pictures });
  await assertKept(outputs, weightsOf(path, result.externalFiles));
  for (const note of result.notes) terminal.result(`note: ${visible(note)}`);
  const { report, binarized, verification, whatIf, memory, isDifferent } = result;
  const fileSizes = { sourceBytes: result.sourceBytes, packedBytes: result.files.packed.length };

  const { sizes } = result.lowered.report;
  terminal.result(formatVerdicts(report.layers, report.rest));
  if (binarized === null) terminal.result(formatPairs(sizeLines(fileSizes, sizes, memory)));
  const notes = [...signNotes(report.signs, report.layers), ...report.changes];
  for (const note of notes) terminal.result(`note: ${visible(note)}`);
  if (binarized !== null) terminal.result(`made binary: ${visible(binarized.layers.join(', '))}`);
  if (verification !== null) terminal.result(formatCheck(verification));
  if (whatIf !== null)
    terminal.result(whatIf.agreements.length === 0 ? 'no sign of an activation' : formatWhatIf(whatIf));
  const files = isDifferent ? [] : await writeAll(options, result, terminal);
  terminal.event('result', {
    source: path,
    files,
    layers: report.layers,
    rest: report.rest,
    ...fileSizes,
    sizes,
    memory,
    signs: report.signs,
    changes: report.changes,
    rewrites: report.rewrites,
    binarized: binarized === null ? null : { layers: binarized.layers, kept: binarized.kept },
    verification,
    whatIf,
  });
  if (isDifferent) {
    terminal.error('nothing was written: source and result differ');
    terminal.error(
      'where sums of signs cancel to 0, what a sign behind them gives is up to the rounding of the runtime; without --verify the files are written',
    );
    process.exitCode = EXIT_FAILED;
  }
}

function assertOptions(options: ConvertCommandOptions): void {
  const { binarize, verify, memory, packed, data, dataset } = options;
  const binarizing = options.only ?? options.except ?? options.minWeights ?? options.dense ?? options.weightsOnly;
  if (binarizing !== undefined && binarize !== true) {
    throw new BnnError('E_USAGE', '--only, --except, --min-weights, --dense and --weights-only belong to --binarize', {
      hint: 'add --binarize',
    });
  }
  const aboutResult = { '--verify': verify === true, '--memory': memory === true, '--packed': packed !== undefined };
  const [senseless] = Object.entries(aboutResult).find(([, isGiven]) => isGiven) ?? [];
  if (binarize === true && senseless !== undefined) {
    throw new BnnError(
      'E_USAGE',
      `a binarized network computes something else than its source, so ${senseless} makes no sense before it is trained`,
    );
  }
  if (options.output === undefined && packed === undefined) {
    refuseUnused(
      'a table alone',
      {
        '--normalize': options.normalize !== undefined,
        '--fit': options.fit !== undefined,
        '--image-size': options.imageSize !== undefined,
        '--classes': options.classes !== undefined,
      },
      'add -o FILE, or leave it out',
    );
  }
  const runs = verify === true || options.whatIf === true;
  refuseUnused(
    'conversion alone',
    {
      '--dataset': dataset !== undefined && !runs,
      '--data': data !== undefined && !runs,
      '--pixels': options.pixels !== undefined && !runs,
      '--limit': options.limit !== undefined && !runs,
      '--threads': options.threads !== undefined && !runs && options.memory !== true,
    },
    'add --verify or --what-if, or leave it out',
  );
  if (data !== undefined && dataset === undefined) {
    throw new BnnError('E_USAGE', '--data is given without --dataset', {
      hint: `add --dataset ${DATASET_NAMES.join(' | ')}`,
    });
  }
}

/** Undefined where nothing is said of them. */
async function picturesOf({ normalize, fit, imageSize, classes }: ConvertCommandOptions) {
  if ((normalize ?? fit ?? imageSize ?? classes) === undefined) return undefined;
  return { normalize, fit, imageSize, classes: classes === undefined ? undefined : await readClassNames(classes) };
}

async function writeAll(
  { output, packed }: ConvertCommandOptions,
  result: ConvertedFile,
  terminal: Terminal,
): Promise<object[]> {
  const files: { form: string; file: string; bytes: number; description: string | null }[] = [];
  for (const [form, file, bytes] of [
    ['latent', output, result.files.latent],
    ['packed', packed, result.files.packed],
  ] as const) {
    if (file === undefined) continue;
    await writeFileAtomic(file, bytes);
    const description = await writeDescription(file, result.preprocessing);
    if (description.note !== undefined) terminal.note(`note: ${visible(description.note)}`);
    files.push({ form, file, bytes: bytes.length, description: description.file });
  }
  if (files.length > 0) {
    terminal.result(
      formatPairs(
        files.map(({ form, file, bytes, description }) => [
          form,
          `${file}  ${formatBytes(bytes)}${description === null ? '' : `  pictures: ${description}`}`,
        ]),
      ),
    );
  }
  return files;
}
