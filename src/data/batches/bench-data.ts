/** Speed of the data loader against a plain loop over sharp, both on the same pictures in the same run. */

import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { median, quantile } from '../../core/numbers/quantile.ts';
import { type Framing, framePicture } from '../../core/pictures/frame-picture.ts';
import { BnnError } from '../../errors.ts';
import type { FileSplit, Split } from '../dataset.ts';
import { type PictureSource, pictureName, readPicture, selectPictures } from '../pictures/picture-source.ts';
import { Batcher } from './batches.ts';
import { frameCrop } from './framing.ts';

/** `train`: random resized crops and flips; `evaluation`: the middle. */
export type DataTransform = 'train' | 'evaluation';

export interface DataBenchOptions {
  readonly transform: DataTransform;
  /** Pictures of a round; 500 unless told, at most as many as the split has. */
  readonly images?: number | undefined;
  /** 5 unless told; the two take turns in who is first. */
  readonly rounds?: number | undefined;
  /** 64 unless told. */
  readonly batchSize?: number | undefined;
  /** Batches ahead; 4 unless told. */
  readonly prefetch?: number | undefined;
  readonly workers?: number | undefined;
  readonly onRound?: ((done: number, total: number) => void) | undefined;
}

export interface DataBench {
  readonly transform: DataTransform;
  readonly images: number;
  readonly rounds: number;
  readonly cores: number;
  /** Of the loader: read, decoded, framed, normalized to float32, in the consumer's hands. Median of the rounds. */
  readonly imagesPerSecond: number;
  /** Of sharp alone, reading the same files to the same u8 pixels, the frames known beforehand. Median of the rounds. */
  readonly plainImagesPerSecond: number;
  /** Processor time of a picture, all threads of the process together, in milliseconds: the least of the rounds. */
  readonly cpuMs: number;
  readonly plainCpuMs: number;
  /** Loader over plain, median of the rounds; and its spread. */
  readonly ratio: number;
  readonly ratioP10: number;
  readonly ratioP90: number;
  /** Resident memory of the process at most, looked at with every batch, and before anything was decoded; in MiB. */
  readonly peakMiB: number;
  readonly startMiB: number;
}

const CROP_SCALE = 0.08;
/** As many as libuv's pool has threads, and as many waiting. */
const PLAIN_AT_ONCE = 8;
const SEED = 1;

/**
 * Measures a split of encoded pictures.
 *
 * @throws {BnnError} E_USAGE for a split in memory or an empty one, and what reading and decoding throw.
 */
export async function benchData(split: Split, options: DataBenchOptions): Promise<DataBench> {
  if (split.kind === 'memory' || split.count === 0) {
    const found = split.kind === 'memory' ? 'pictures in memory' : 'no pictures';
    throw new BnnError('E_USAGE', `${found}, expected files to decode`, { hint: 'e.g. --dataset imagenet --data DIR' });
  }
  const { transform, rounds = 5, batchSize = 64, prefetch = 4, workers } = options;
  const some = firstOf(split, Math.min(options.images ?? 500, split.count));
  const augment = transform === 'train' ? { padCrop: 0, flip: true, cropScale: CROP_SCALE } : null;
  const startMiB = residentMiB();
  const memory = { peak: startMiB };
  const batcher = new Batcher(some, { batchSize, seed: SEED, augment, prefetch, ...(workers ? { workers } : {}) });
  try {
    const loaded: Timing[] = [];
    const plain: Timing[] = [];
    const framings = await frameAll(some, transform);
    // Round 0 only warms up: files into the cache of the system, threads, code.
    for (let round = 0; round <= rounds; round++) {
      const runs = [
        async () => loaded.push(await timeLoader(batcher, round, some.count, memory)),
        async () => plain.push(await timePlain(some, framings)),
      ];
      for (const run of round % 2 === 0 ? runs : runs.reverse()) await run();
      if (round === 0) loaded.length = plain.length = 0;
      else options.onRound?.(round, rounds);
    }
    const speeds = loaded.map(({ imagesPerSecond }) => imagesPerSecond);
    const plainSpeeds = plain.map(({ imagesPerSecond }) => imagesPerSecond);
    const ratios = speeds.map((speed, i) => speed / (plainSpeeds[i] ?? Number.NaN));
    return {
      transform,
      images: some.count,
      rounds,
      cores: availableParallelism(),
      imagesPerSecond: median(speeds),
      plainImagesPerSecond: median(plainSpeeds),
      cpuMs: Math.min(...loaded.map(({ cpuMs }) => cpuMs)),
      plainCpuMs: Math.min(...plain.map(({ cpuMs }) => cpuMs)),
      ratio: median(ratios),
      ratioP10: quantile(ratios, 0.1),
      ratioP90: quantile(ratios, 0.9),
      peakMiB: memory.peak,
      startMiB,
    };
  } finally {
    await batcher.close();
  }
}

function firstOf(split: FileSplit, count: number): FileSplit {
  const indices = Array.from({ length: count }, (_, i) => i);
  return { ...split, count, labels: split.labels.slice(0, count), pictures: selectPictures(split.pictures, indices) };
}

interface Timing {
  readonly imagesPerSecond: number;
  readonly cpuMs: number;
}

async function time(count: number, work: () => Promise<void>): Promise<Timing> {
  const cpu = process.cpuUsage();
  const begin = performance.now();
  await work();
  const imagesPerSecond = (count / (performance.now() - begin)) * 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { imagesPerSecond, cpuMs: (user + system) / 1000 / count };
}

/** One epoch. */
function timeLoader(batcher: Batcher, epoch: number, count: number, memory: { peak: number }): Promise<Timing> {
  return time(count, async () => {
    for await (const batch of batcher.epoch(epoch)) {
      memory.peak = Math.max(memory.peak, residentMiB());
      batcher.recycle(batch);
    }
  });
}

/** Sharp takes files by their path; what lies in a shard is read first. */
function inputOf(pictures: PictureSource, i: number): Promise<Uint8Array> | string {
  return pictures.kind === 'files' ? pictureName(pictures, i) : readPicture(pictures, i);
}

async function timePlain({ pictures }: FileSplit, framings: readonly Framing[]): Promise<Timing> {
  const { default: sharp } = await import('sharp');
  const decode = async (i: number): Promise<void> => {
    const framing = framings[i];
    if (framing === undefined) throw new Error('internal: no frame');
    const image = sharp(await inputOf(pictures, i), { ignoreIcc: true });
    if (framing.cut !== undefined) image.extract(framing.cut);
    image.resize(framing.width, framing.height, { fit: 'fill', kernel: 'linear', fastShrinkOnLoad: false });
    if (framing.cutAfter !== undefined) image.extract(framing.cutAfter);
    await image.removeAlpha().raw().toBuffer();
  };
  return time(framings.length, () => inLanes(framings.length, decode));
}

async function frameAll(split: FileSplit, transform: DataTransform): Promise<Framing[]> {
  const { default: sharp } = await import('sharp');
  const { pictures, frame } = split;
  const framings: Framing[] = [];
  await inLanes(split.count, async (i) => {
    const { width, height } = await sharp(await inputOf(pictures, i)).metadata();
    framings[i] =
      transform === 'train'
        ? frameCrop(width, height, frame, CROP_SCALE, { seed: SEED, epoch: 0, sample: i })
        : framePicture(width, height, frame);
  });
  return framings;
}

async function inLanes(count: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: PLAIN_AT_ONCE }, lane));
}

function residentMiB(): number {
  return process.memoryUsage.rss() / 2 ** 20;
}
