/** `bnn-bench data`: speed of decoding and framing pictures, beside a plain loop over sharp in the same run. */

import { benchData, type DataBench, type DataTransform } from '../data/bench-data.ts';
import { hasFreeImageSize, loadDataset } from '../data/load-dataset.ts';
import { BnnError } from '../errors.ts';
import { threeDigits } from '../report/format.ts';
import { formatPairs } from '../report/table.ts';
import type { Terminal } from './terminal.ts';

export interface DataBenchRequest {
  /** One whose pictures are decoded: imagenet, webdataset, image-folder. */
  readonly dataset: string;
  readonly data: string | undefined;
  readonly batch: number;
  readonly rounds: number;
  /** Pictures of a round. */
  readonly images: number;
}

export interface DataCase {
  readonly name: string;
  readonly threads: number;
  /** Of a picture. */
  readonly medianMs: number;
  readonly imagesPerSecond: number;
  /** Processor time of a picture, all threads together. */
  readonly cpuMs: number;
  readonly peakMiB: number;
  readonly startMiB: number;
  readonly baselines: {
    readonly sharp: {
      readonly medianMs: number;
      readonly imagesPerSecond: number;
      readonly cpuMs: number;
      /** Above 1 where ours is faster: median over the rounds, and its spread. */
      readonly ratio: number;
      readonly ratioP10: number;
      readonly ratioP90: number;
    };
  };
}

const TRANSFORMS: readonly DataTransform[] = ['train', 'evaluation'];

/**
 * Measures the transforms for training and for evaluation, on the split that has more pictures.
 *
 * @throws {BnnError} E_USAGE for a data set whose pictures are not decoded, and what loading it throws.
 */
export async function benchDataset(request: DataBenchRequest, terminal: Terminal): Promise<DataCase[]> {
  const { dataset: name, data, batch: batchSize, rounds, images } = request;
  if (!hasFreeImageSize(name)) {
    throw new BnnError('E_USAGE', `the pictures of ${name} are held in memory, there is nothing to decode`, {
      hint: 'bnn-bench data --dataset imagenet --data DIR',
    });
  }
  const { train, test, notes = [] } = await loadDataset(name, { dir: data });
  for (const note of notes) terminal.note(`note: ${note}`);
  const split = train.count > test.count ? train : test;
  const cases: DataCase[] = [];
  for (const transform of TRANSFORMS) {
    const onRound = (done: number, total: number) =>
      terminal.live(() => `${name} ${transform}: round ${done} of ${total}`);
    const result = toCase(name, await benchData(split, { transform, batchSize, rounds, images, onRound }));
    terminal.clearLive();
    terminal.event('case', result);
    terminal.result(`\n${formatDataCase(result)}`);
    cases.push(result);
  }
  return cases;
}

function toCase(dataset: string, bench: DataBench): DataCase {
  const { transform, images, imagesPerSecond, plainImagesPerSecond, ratio, ratioP10, ratioP90 } = bench;
  return {
    name: `${dataset} ${transform}, ${images} pictures`,
    threads: bench.cores,
    medianMs: 1000 / imagesPerSecond,
    imagesPerSecond,
    cpuMs: bench.cpuMs,
    peakMiB: bench.peakMiB,
    startMiB: bench.startMiB,
    baselines: {
      sharp: {
        medianMs: 1000 / plainImagesPerSecond,
        imagesPerSecond: plainImagesPerSecond,
        cpuMs: bench.plainCpuMs,
        ratio,
        ratioP10,
        ratioP90,
      },
    },
  };
}

function formatDataCase(result: DataCase): string {
  const { name, imagesPerSecond, cpuMs, peakMiB, startMiB } = result;
  const { sharp } = result.baselines;
  const spread = `10 to 90 % of the rounds: ${threeDigits(sharp.ratioP10)} to ${threeDigits(sharp.ratioP90)}`;
  return formatPairs([
    ['data', name],
    ['images/s', `${threeDigits(imagesPerSecond)}, as float32 batches`],
    ['sharp alone', `${threeDigits(sharp.imagesPerSecond)} images/s, as bytes`],
    ['ours over sharp', `${threeDigits(sharp.ratio)} (${spread})`],
    [
      'processor time',
      `${threeDigits(cpuMs)} ms a picture, sharp alone ${threeDigits(sharp.cpuMs)} ms: ${threeDigits(sharp.cpuMs / cpuMs)}`,
    ],
    ['peak memory', `${threeDigits(peakMiB)} MiB, ${threeDigits(startMiB)} before`],
  ]);
}
