/** What `bnn-train` prints while it works. */

import {
  formatBytes,
  formatClock,
  formatCount,
  formatExponent,
  formatPercent,
  formatSeconds,
  plural,
  threeDigits,
} from '../../report/format.ts';
import { formatBar } from '../../report/progress.ts';
import { type Column, formatHeader, formatPairs, formatRow } from '../../report/table.ts';
import { TFJS_VERSION, VERSION } from '../../tasks/version.ts';
import { networkName, type Recipe } from '../../training/recipes/recipe.ts';
import { estimatorInWords } from '../../training/recipes/recipe-choices.ts';
import type { EpochRecord } from '../../training/sessions/history-io.ts';
import type { Opening, StepProgress, TrainResult } from '../../training/sessions/train-options.ts';

interface EpochColumn extends Column {
  readonly cell: (record: EpochRecord) => string;
}

const fraction = (value: number | null): string => (value === null ? '-' : value.toFixed(4));

const COLUMNS: readonly EpochColumn[] = [
  { title: 'epoch', width: 5, align: 'right', cell: ({ epoch }) => String(epoch) },
  { title: 'train_loss', width: 10, align: 'right', cell: ({ trainLoss }) => trainLoss.toFixed(4) },
  { title: 'train_acc', width: 9, align: 'right', cell: ({ trainTop1 }) => fraction(trainTop1) },
  { title: 'test_acc', width: 8, align: 'right', cell: ({ testTop1 }) => fraction(testTop1) },
  { title: 'val_acc', width: 7, align: 'right', cell: ({ validationTop1 }) => fraction(validationTop1) },
  { title: 'lr', width: 7, align: 'right', cell: ({ lr }) => formatExponent(lr) },
  { title: 'o', width: 5, align: 'right', cell: ({ o }) => (o === null ? '-' : o.toFixed(3)) },
  { title: 'error', width: 7, align: 'right', cell: ({ indicators }) => indicators?.estimatingError.toFixed(1) ?? '-' },
  {
    title: 'stability',
    width: 9,
    align: 'right',
    cell: ({ indicators }) => indicators?.gradientVariance.toExponential(2) ?? '-',
  },
  {
    title: 'flips_%',
    width: 7,
    align: 'right',
    cell: ({ indicators }) => (indicators === undefined ? '-' : (100 * indicators.flipRatio).toFixed(2)),
  },
  { title: 'img/s', width: 5, align: 'right', cell: ({ imagesPerSecond }) => threeDigits(imagesPerSecond) },
  { title: 'time_s', width: 6, align: 'right', cell: ({ seconds }) => seconds.toFixed(1) },
];

const INDICATORS = ['error', 'stability', 'flips_%'];
/** What is left out first where a line has no room; history.csv has it. */
const LEAST_WANTED = ['o', 'img/s', 'lr', 'train_acc', 'time_s', 'stability', 'error'];

/** The table of epochs; accuracy on held-out pictures and indicators only where there are some, and room. */
export class EpochTable {
  readonly #columns: readonly EpochColumn[];

  /** @param columns  characters in a line. */
  constructor(recipe: Recipe, columns = Number.POSITIVE_INFINITY) {
    const left = new Set<string>();
    if (recipe.validation === 0) left.add('val_acc');
    if (!recipe.indicators) for (const title of INDICATORS) left.add(title);
    const kept = () => COLUMNS.filter(({ title }) => !left.has(title));
    for (const title of LEAST_WANTED) if (formatHeader(kept()).length > columns) left.add(title);
    this.#columns = kept();
  }

  get header(): string {
    return formatHeader(this.#columns);
  }

  row(record: EpochRecord): string {
    return formatRow(
      this.#columns,
      this.#columns.map(({ cell }) => cell(record)),
    );
  }
}

export function formatOpening(opening: Opening, out: string): string {
  const { recipe, dataset, backend, parameters, stepsPerEpoch, from, isComplete } = opening;
  const at = from.batch > 0 ? `epoch ${from.epoch + 1}, step ${from.batch + 1}` : `epoch ${from.epoch + 1}`;
  const state = isComplete
    ? `, complete after ${plural(from.epoch, 'epoch')}: nothing is left to train`
    : from.epoch + from.batch > 0
      ? `, continued at ${at}`
      : '';
  const heldOut = recipe.validation > 0 ? ` / ${formatCount(recipe.validation)} held out of training` : '';
  return [
    `bnn-train ${VERSION}  node ${process.versions.node}  tfjs ${TFJS_VERSION}  ${backend.description}  seed ${recipe.seed}`,
    formatPairs([
      [
        'model',
        `${networkName(recipe)}, ${formatCount(parameters)} parameters, ${estimatorInWords(recipe) ?? 'without signs'}`,
      ],
      [
        'data',
        `${dataset.name} sha256 ${dataset.fingerprint.slice(0, 12)}  ${formatCount(dataset.train.count)} train / ${formatCount(dataset.test.count)} test${heldOut}`,
      ],
      [
        'batch',
        `${formatCount(recipe.batchSize)} = ${plural(stepsPerEpoch, 'step')}, ${plural(recipe.epochs, 'epoch')}${shares(opening)}`,
      ],
      ['run', out + state],
    ]),
  ].join('\n');
}

function shares({ processes, recipe: { batchSize, syncBatchNorm } }: Opening): string {
  if (processes === 1) return '';
  const most = Math.ceil(batchSize / processes);
  const each = batchSize % processes === 0 ? `${most}` : `${most - 1} or ${most}`;
  return `; ${processes} processes take ${each} pictures each${syncBatchNorm ? ', normalized together' : ''}`;
}

/** The live line; fits 80 columns, so the steps are only in the bar. */
export function formatStep(progress: StepProgress): string {
  const { epoch, epochs, batch, batches, loss, top1, imagesPerSecond, processes, secondsLeft } = progress;
  return [
    `${formatBar(batch / batches, 12)} epoch ${epoch}/${epochs}`,
    `loss ${loss.toFixed(4)}`,
    `acc ${top1.toFixed(4)}`,
    `${threeDigits(imagesPerSecond)} img/s${processes === 1 ? '' : ` on ${processes}`}`,
    `${formatClock(secondsLeft)} left`,
  ].join('  ');
}

/** @param exported  the file of the command that is proposed; it is not there yet. */
export function formatClosing(
  result: TrainResult,
  { validation }: Pick<Recipe, 'validation'>,
  checkpoint: string,
  checkpointBytes: number | null,
  exported: string,
): string {
  const { best, testTop1, seconds, imagesPerSecond, run } = result;
  const lines: [string, string][] = [
    ['wrote', checkpointBytes === null ? checkpoint : `${checkpoint}  ${formatBytes(checkpointBytes)}`],
    ['test accuracy', formatPercent(testTop1)],
  ];
  // With held-out pictures it is the network that is exported, without them a number that the test pictures chose.
  const of = validation > 0 ? 'of the held-out pictures' : 'by the test pictures';
  if (best !== null) lines.push(['best', `${formatPercent(best.top1)} ${of} (epoch ${best.epoch})`]);
  const speed = imagesPerSecond > 0 ? `, ${threeDigits(imagesPerSecond)} images/s` : '';
  lines.push(['trained', formatSeconds(seconds) + speed]);
  lines.push(['next', `bnn-export ${quote(run)} -o ${quote(exported)}`]);
  return formatPairs(lines);
}

/** A path as the shell and commands take it. */
export function quote(given: string): string {
  // Not for an option.
  const path = given.startsWith('-') ? `./${given}` : given;
  return /^[\w./:@%+=-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
