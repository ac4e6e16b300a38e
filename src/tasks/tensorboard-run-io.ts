/** A training as TensorBoard shows it: scalars, histograms, and the mistakes that the network is most certain of. */

import { readPixels } from '../data/batches/read-pixels.ts';
import { encodePng } from '../data/pictures/encode-picture.ts';
import { BnnError } from '../errors.ts';
import { formatPercent } from '../report/format.ts';
import { EventFile } from '../tensorboard/event-file-io.ts';
import { histogram, image, markdown, type Summary, scalar } from '../tensorboard/summaries.ts';
import type { EpochIndicators, LayerIndicators } from '../training/measures/indicators.ts';
import type { EpochRecord } from '../training/sessions/history-io.ts';
import type { LatentWeight, Opening, TestedEpoch, TrainListeners } from '../training/sessions/train-options.ts';

/** Pictures an epoch. */
const MISTAKES = 16;

/** Listens to one training; `close` when it has ended, however. */
export class TensorboardLog {
  readonly #folder: string;
  readonly #onFailure: (note: string) => void;
  #opening: Opening | null = null;
  #file: EventFile | null = null;
  /** Of the epoch that is not recorded yet. */
  #waiting: (Summary | null)[] = [];
  #hasFailed = false;

  /** @param onFailure  called once when the events cannot be written; the training goes on without. */
  constructor(folder: string, onFailure: (note: string) => void) {
    this.#folder = folder;
    this.#onFailure = onFailure;
  }

  /** What to pass to the training. */
  readonly listeners: Required<Pick<TrainListeners, 'onStart' | 'onTested' | 'onWeights' | 'onEpoch'>> = {
    onStart: (opening) => {
      this.#opening = opening;
    },
    onTested: (tested) =>
      this.#guard(async () => {
        this.#waiting = await mistakesOf(tested, this.#started().dataset);
      }),
    onWeights: (weights) =>
      this.#guard(async () => {
        this.#waiting.push(...histogramsOf(weights));
      }),
    onEpoch: (record) =>
      this.#guard(async () => {
        const file = await this.#open();
        await file.write(record.epoch, [...scalarsOf(record), ...this.#waiting]);
        this.#waiting = [];
      }),
  };

  async close(): Promise<void> {
    await this.#file?.close().catch(() => {});
    this.#file = null;
  }

  /** Made when there is something to say, so that a training that does not start leaves nothing. */
  async #open(): Promise<EventFile> {
    if (this.#file !== null) return this.#file;
    const { from, recipe } = this.#started();
    const isNew = from.epoch + from.batch === 0;
    this.#file = await EventFile.create(this.#folder, isNew ? undefined : from.epoch + 1);
    const rows = Object.entries(recipe).map(([name, value]) => `| ${name} | ${inCell(JSON.stringify(value))} |`);
    await this.#file.write(from.epoch, [markdown('recipe', ['| field | value |', '|---|---|', ...rows].join('\n'))]);
    return this.#file;
  }

  #started(): Opening {
    if (this.#opening === null) throw new Error('internal: the training has not started');
    return this.#opening;
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    if (this.#hasFailed) return;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof BnnError)) throw error;
      this.#hasFailed = true;
      this.#onFailure(
        `no more events for TensorBoard: ${error.message}${error.at === undefined ? '' : ` (${error.at})`}`,
      );
    }
  }
}

function scalarsOf(record: EpochRecord): Summary[] {
  const { trainTop1, testTop1, validationTop1, trainLoss, testLoss, lr, o, imagesPerSecond, indicators } = record;
  const values: [string, number | null][] = [
    ['accuracy/train', trainTop1],
    ['accuracy/test', testTop1],
    ['accuracy/held out', validationTop1],
    ['loss/train', trainLoss],
    ['loss/test', testLoss],
    ['training/lr', lr],
    ['training/o', o],
    ['training/imagesPerSecond', imagesPerSecond],
    ...(indicators === undefined ? [] : indicatorsOf(indicators)),
  ];
  return values.flatMap(([tag, value]) => (value === null ? [] : [scalar(tag, value)]));
}

/** Of the network under `indicators/`; of the layers, each indicator under its own name. */
function indicatorsOf(indicators: EpochIndicators): [string, number | null][] {
  return [
    ...numbersOf(indicators).map(([name, value]): [string, number] => [`indicators/${name}`, value]),
    ...indicators.layers.flatMap((layer) =>
      [...numbersOf(layer), ...numbersOf(layer.activations ?? {})].map(([name, value]): [string, number] => [
        `${name}/${layer.layer}`,
        value,
      ]),
    ),
  ];
}

function numbersOf(object: Partial<EpochIndicators> | LayerIndicators | object): [string, number][] {
  return Object.entries(object).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
}

function histogramsOf(weights: readonly LatentWeight[]): (Summary | null)[] {
  return weights.flatMap(({ name, values, gradient }) => [
    histogram(`weights/${name}`, values),
    histogram(`gradients/${name}`, gradient),
  ]);
}

async function mistakesOf(
  { predictions, confidences, labels }: TestedEpoch,
  dataset: Opening['dataset'],
): Promise<Summary[]> {
  const wrong = labels.flatMap((label, i) => {
    const guess = predictions[i] ?? -1;
    return guess < 0 || guess === label ? [] : [{ i, label, guess, confidence: confidences[i] ?? 0 }];
  });
  const worst = wrong.sort((a, b) => b.confidence - a.confidence || a.i - b.i).slice(0, MISTAKES);
  const pixels = await readPixels(
    dataset.test,
    worst.map(({ i }) => i),
  );
  const [images, rows]: [Summary[], string[]] = [[], []];
  for (const [n, { i, label, guess, confidence }] of worst.entries()) {
    const picture = pixels.get(i);
    if (picture === undefined) continue;
    const number = String(n + 1).padStart(2, '0');
    images.push(image(`mistakes/${number}`, { ...picture, png: await encodePng(picture) }));
    const [is, taken] = [label, guess].map((k) => inCell(dataset.classes[k] ?? String(k)));
    rows.push(`| ${number} | ${i} | ${is} | ${taken} | ${formatPercent(confidence, 1)} |`);
  }
  const head = ['| | test picture | is | taken for | certain |', '|---|---|---|---|---|'];
  return rows.length === 0 ? [] : [...images, markdown('mistakes/list', [...head, ...rows].join('\n'))];
}

function inCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
