/** `bnn-validate`. */

import { Command, Option } from 'commander';
import { LOGITS_TOLERANCE } from '../../core/numbers/tolerance.ts';
import { FITS, type Fit } from '../../core/pictures/preprocessing.ts';
import { namesOf } from '../../core/row-named.ts';
import { canDownload, DATASETS, type DatasetRow, hasFreeImageSize } from '../../data/load-dataset.ts';
import { NORMALIZATIONS, type Normalization } from '../../data/normalization.ts';
import { EXECUTION_PROVIDERS, type ExecutionProvider } from '../../inference/provider.ts';
import type { Validation } from '../../inference/validate.ts';
import { formatConfusion } from '../../report/confusion-table.ts';
import { formatBytes, formatCount, formatDifference, formatPercent, plural, threeDigits } from '../../report/format.ts';
import { formatBar } from '../../report/progress.ts';
import { formatPairs, formatTable } from '../../report/table.ts';
import { visible } from '../../report/visible-text.ts';
import { picturesOf, writeMistakes } from '../../tasks/mistakes-file-io.ts';
import { assertWritable } from '../../tasks/output-file.ts';
import { validateModel } from '../../tasks/validate-model.ts';
import type { Parts } from '../../training/recipes/parts.ts';
import {
  ADVANCED,
  addExamples,
  addGeneralOptions,
  COMMON,
  type GeneralOptions,
  terminalOf,
  wholeNumber,
  wholeNumbers,
} from '../options.ts';
import { addPluginOption } from '../plugin-options.ts';
import {
  addAdvancedProviderOptions,
  addProviderOption,
  formatNodes,
  type ProviderFlags,
  providerChoiceOf,
} from '../provider-flags.ts';
import { addSessionOptions, type SessionFlags } from '../session-flags.ts';
import { refuseUnused } from '../unused-options.ts';

interface ValidateCommandOptions extends GeneralOptions, ProviderFlags, SessionFlags<Normalization> {
  readonly dataset?: string;
  readonly data?: string;
  readonly download?: boolean;
  readonly againstEp?: ExecutionProvider;
  readonly batch?: readonly number[];
  readonly limit?: number;
  readonly batchSize?: number;
  readonly against?: string;
  readonly confusion?: boolean;
  readonly mistakes?: string;
  readonly fit?: Fit;
  readonly plugin?: readonly string[];
}

export function createValidateCommand(name: string, parts?: Parts): Command {
  const { datasets = DATASETS } = parts ?? {};
  const command = new Command(name)
    .description(
      'Runs an ONNX file on the test pictures of a data set, in onnxruntime: accuracy, loss, latency, throughput, and agreement with another form of the same network.',
    )
    .argument('<model>', 'an ONNX file, or a run folder')
    .optionsGroup(COMMON)
    .option('--dataset <name>', `data set, unless a run folder tells: ${namesOf(datasets).join(', ')}`)
    .option('--data <folder>', 'folder or archive of the data set, unless a run folder tells')
    .option('--against <source>', 'a run folder or an ONNX file: run it on the same pictures and compare')
    .option('--limit <n>', 'only the first so many test pictures; 0 = all (default: 0)', wholeNumber(0));
  command
    .option('--confusion', 'also show which classes are taken for which')
    .option('--mistakes <file>', 'also write the wrong decisions: all as .csv, or with pictures as .html');
  addProviderOption(command)
    .optionsGroup(ADVANCED)
    .addOption(
      new Option(
        '--against-ep <name>',
        'run the model (or what --against names) on this execution provider too, and compare',
      ).choices(EXECUTION_PROVIDERS),
    )
    .option('--batch <list>', 'also measure the speed at these batch sizes, e.g. 1,8,64', wholeNumbers(1))
    .option('--batch-size <n>', 'pictures per run for accuracy and throughput (default: 100)', wholeNumber(1))
    .addOption(
      new Option('--fit <how>', 'how pictures of any size are framed, instead of what the file says').choices(FITS),
    )
    .option('--download', 'fetch the official archive when the data set is missing');
  addSessionOptions(command, NORMALIZATIONS);
  addPluginOption(command, 'a module with the data set, where it is your own');
  addAdvancedProviderOptions(command);
  addGeneralOptions(command);
  return addExamples(command, [
    ['bnn-validate mnist.onnx --dataset mnist', 'accuracy and speed on data that are built in'],
    [
      'bnn-validate mnist.onnx --dataset mnist --against runs/mnist',
      'does the packed file decide as the trained network does?',
    ],
    ['bnn-validate net.onnx --dataset cifar10 --data ~/cifar --limit 1000 --threads 1 --json', 'for a script'],
  ]).action((model: string, options: ValidateCommandOptions) => runValidate(model, options, datasets));
}

async function runValidate(
  model: string,
  options: ValidateCommandOptions,
  datasets: readonly DatasetRow[],
): Promise<void> {
  const terminal = terminalOf(options);
  const { dataset } = options;
  if (dataset !== undefined) {
    refuseUnused(`--dataset ${dataset}`, {
      '--download': options.download === true && !canDownload(dataset),
      '--fit': options.fit !== undefined && !hasFreeImageSize(dataset, datasets),
    });
  }
  const provider = providerChoiceOf(options, options.againstEp === undefined ? [] : [options.againstEp]);
  const { mistakes: mistakesFile } = options;
  const pictures = mistakesFile === undefined ? undefined : picturesOf(mistakesFile);
  if (mistakesFile !== undefined) await assertWritable(mistakesFile, model);
  const found = await validateModel({
    ...options,
    confusion: options.confusion === true || mistakesFile !== undefined,
    mistakes: pictures,
    ...provider,
    batches: options.batch,
    model,
    dataset,
    dir: options.data,
    plugins: options.plugin,
    onData: ({ doneBytes }) => terminal.live(() => `reading the data: ${formatBytes(doneBytes)}`),
    onProgress: ({ images, total, top1, imagesPerSecond }) =>
      terminal.live(
        () =>
          `${formatBar(images / total)}  ${images}/${total}  top-1 ${formatPercent(top1)}  ${threeDigits(imagesPerSecond)} img/s`,
      ),
  });
  terminal.clearLive();
  for (const note of found.notes) terminal.note(`note: ${visible(note)}`);
  if (mistakesFile !== undefined) await writeMistakes(mistakesFile, found);
  const { model: path, mistakes, ...facts } = found;
  const validation = { ...facts, confusion: options.confusion === true ? facts.confusion : null };
  const written = mistakesFile === undefined ? {} : { mistakes: { file: mistakesFile, count: mistakes?.length ?? 0 } };
  terminal.event('result', { model: path, ...validation, ...written });
  terminal.result(formatValidation(path, { ...validation, mistakes: null }));
  if (validation.confusion !== null) {
    const classes = validation.classes.map(({ name }) => name);
    terminal.result(`\n${formatConfusion({ classes, counts: validation.confusion })}`);
  }
  if (mistakesFile !== undefined) {
    terminal.result(`\n${plural(mistakes?.length ?? 0, 'mistake')} written to ${visible(mistakesFile)}`);
  }
  if (terminal.verbose) terminal.result(`\n${formatClasses(validation.classes)}`);
}

function formatValidation(path: string, validation: Validation): string {
  const { top1, loss, images, agreement, other, latencyMs, imagesPerSecond, batchSize } = validation;
  // Of five classes, all pictures have theirs among the first five.
  const top5 = validation.classes.length > 5 ? validation.top5 : null;
  const threads = validation.threads === 0 ? 'default' : String(validation.threads);
  const lines: [string, string][] = [
    ['model', path],
    ['data', `${validation.dataset.name}, ${formatCount(images)} test pictures`],
    ['top-1', formatPercent(top1)],
    ...(top5 === null ? [] : [['top-5', formatPercent(top5)] satisfies [string, string]]),
    ['loss', loss.toFixed(4)],
  ];
  if (agreement !== null) {
    lines.push([
      'other form',
      [
        `top-1 ${formatPercent(other?.top1 ?? null)}`,
        ...(top5 === null ? [] : [`top-5 ${formatPercent(other?.top5 ?? null)}`]),
      ].join(', '),
    ]);
    const { imagesBeyondTolerance: beyond, maxLogitDifference, againstEp, ep } = validation;
    const where = againstEp === ep ? '' : ` as on ${againstEp}`;
    lines.push(['agreement', `${formatPercent(agreement)} of the pictures get the same class${where}`]);
    lines.push([
      'logits',
      `within ${LOGITS_TOLERANCE} on all${beyond === 0 ? '' : ` but ${plural(beyond ?? 0, 'picture')}`}, at most ${formatDifference(maxLogitDifference ?? 0)} apart`,
    ]);
  }
  lines.push(
    ['latency', latencyMs === null ? '-' : `${latencyMs.toFixed(3)} ms (one picture, median)`],
    ['throughput', `${threeDigits(imagesPerSecond)} images/s (batch ${formatCount(Math.min(batchSize, images))})`],
    ...validation.batches.map(({ batch, latencyMs: ms, imagesPerSecond: speed }): [string, string] => [
      `batch ${batch}`,
      `${ms.toFixed(3)} ms (median), ${threeDigits(speed)} images/s`,
    ]),
    [
      'runtime',
      validation.engine !== 'onnxruntime'
        ? validation.runtime
        : `${validation.runtime}, ${validation.ep}, ${threads} threads, ${validation.ops === 'on' ? 'our kernels for binary layers' : 'stock operators'}`,
    ],
  );
  if (validation.nodes !== null) lines.push(['nodes', formatNodes(validation.nodes)]);
  return formatPairs(lines);
}

function formatClasses(classes: Validation['classes']): string {
  return formatTable(
    [{ title: 'class' }, { title: 'pictures', align: 'right' }, { title: 'top-1', align: 'right' }],
    classes.map(({ name, images, top1 }) => [name, formatCount(images), formatPercent(top1)]),
  );
}
