/** Speed of decoding and framing pictures, beside a plain loop over sharp in the same run. */

import { type DataBench, type DataTransform, benchData as measure } from '../data/batches/bench-data.ts';
import { hasFreeImageSize, loadDataset } from '../data/load-dataset.ts';
import { BnnError } from '../errors.ts';

export interface DataBenchRequest {
  /** One whose pictures are decoded: imagenet, webdataset, image-folder. */
  readonly dataset: string;
  /** Where it lies. */
  readonly data?: string | undefined;
  /** 64 unless told. */
  readonly batch?: number | undefined;
  /** Turns of each variant; 5 unless told. */
  readonly rounds?: number | undefined;
  /** Pictures of a round; 500 unless told. */
  readonly images?: number | undefined;
  readonly onNote?: ((note: string) => void) | undefined;
  readonly onRound?: ((name: string, done: number, total: number) => void) | undefined;
  readonly onCase?: ((result: DataCase) => void) | undefined;
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
export async function benchData(request: DataBenchRequest): Promise<DataCase[]> {
  const { dataset: name, data, batch: batchSize = 64, rounds = 5, images = 500, onNote, onRound, onCase } = request;
  if (!hasFreeImageSize(name)) {
    throw new BnnError('E_USAGE', `the pictures of ${name} are held in memory, there is nothing to decode`, {
      hint: 'bnn-bench data --dataset imagenet --data DIR',
    });
  }
  const { train, test, notes = [] } = await loadDataset(name, { dir: data });
  for (const note of notes) onNote?.(note);
  const split = train.count > test.count ? train : test;
  const cases: DataCase[] = [];
  for (const transform of TRANSFORMS) {
    const bench = await measure(split, {
      ...{ transform, batchSize, rounds, images },
      onRound: (done, total) => onRound?.(`${name} ${transform}`, done, total),
    });
    const result = toCase(name, bench);
    cases.push(result);
    onCase?.(result);
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
