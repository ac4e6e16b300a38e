/** Inputs to compare models on: random numbers, or the test pictures of a data set in the layout that the model takes. */

import { Rng } from '../core/rng.ts';
import { elementCount } from '../core/shape.ts';
import { createBatches } from '../data/batches.ts';
import { hasFreeImageSize, loadDataset } from '../data/load-dataset.ts';
import type { Normalization } from '../data/normalization.ts';
import { BnnError } from '../errors.ts';
import { toChannelsFirst } from '../inference/image-input.ts';
import type { TensorInfo } from '../inference/session.ts';

export const PIXEL_RANGES = ['0..1', '0..255', '-1..1', 'normalized'] as const;
export type PixelRange = (typeof PIXEL_RANGES)[number];

export interface InputOptions {
  readonly dataset?: string | undefined;
  readonly data?: string | undefined;
  readonly pixels: PixelRange;
  /** Inputs to make. */
  readonly limit: number;
}

export interface Inputs {
  /** f32[rows][...shape]. */
  readonly x: Float32Array;
  readonly shape: readonly number[];
  readonly rows: number;
}

const BATCH = 32;
/** What a size that the model leaves open is given in random inputs. */
const OPEN_SIZE = 32;

/**
 * Batches for the input of a model; a fixed batch size of the model is kept to.
 *
 * @throws {BnnError} E_SHAPE when the pictures do not have the model's size, and what loading a data set throws.
 */
export async function* makeInputs(input: TensorInfo, options: InputOptions): AsyncGenerator<Inputs> {
  const [first, ...rest] = input.shape;
  const batch = typeof first === 'number' && first > 0 ? first : BATCH;
  if (options.dataset === undefined) yield* randomInputs(rest, batch, options);
  else yield* pictureInputs(input, rest, batch, options, options.dataset);
}

function* randomInputs(sizes: TensorInfo['shape'], batch: number, { limit, pixels }: InputOptions): Generator<Inputs> {
  const shape = sizes.map((size) => (typeof size === 'number' && size > 0 ? size : OPEN_SIZE));
  const rng = new Rng(1);
  const draw = {
    '0..1': () => rng.uniform(),
    '0..255': () => rng.below(256),
    '-1..1': () => 2 * rng.uniform() - 1,
    normalized: () => rng.normal(),
  }[pixels];
  for (let done = 0; done < limit; done += batch) {
    const x = Float32Array.from({ length: batch * elementCount(shape) }, draw);
    yield { x, shape: [batch, ...shape], rows: batch };
  }
}

function normalizationOf(pixels: PixelRange, channels: number): Normalization {
  const all = (value: number) => new Array<number>(channels).fill(value);
  switch (pixels) {
    case '0..1':
      return 'none';
    case '0..255':
      return { mean: all(0), std: all(1 / 255) };
    case '-1..1':
      return { mean: all(0.5), std: all(0.5) };
    case 'normalized':
      return 'dataset';
  }
}

/** How a model takes pictures: channels first or last, or all pixels in one row. */
function layoutOf(sizes: TensorInfo['shape']): {
  readonly kind: 'first' | 'last' | 'flat';
  readonly size: number | null;
} {
  const [a, b, c] = sizes.map((size) => (typeof size === 'number' && size > 0 ? size : null));
  if (sizes.length === 1) return { kind: 'flat', size: null };
  const isLast = (c === 1 || c === 3) && a !== 1 && a !== 3;
  return isLast ? { kind: 'last', size: a ?? null } : { kind: 'first', size: b ?? null };
}

async function* pictureInputs(
  input: TensorInfo,
  sizes: TensorInfo['shape'],
  batch: number,
  options: InputOptions,
  name: string,
): AsyncGenerator<Inputs> {
  const layout = layoutOf(sizes);
  const { test, channels, height, width } = await loadDataset(name, {
    dir: options.data,
    limitTrain: 1,
    limitTest: options.limit,
    ...(hasFreeImageSize(name) && layout.size !== null ? { imageSize: layout.size } : {}),
  });
  const image =
    layout.kind === 'flat'
      ? [channels * height * width]
      : layout.kind === 'first'
        ? [channels, height, width]
        : [height, width, channels];
  const fits =
    image.length === sizes.length && image.every((size, i) => typeof sizes[i] !== 'number' || sizes[i] === size);
  if (!fits) {
    throw new BnnError(
      'E_SHAPE',
      `the model takes [${input.shape.join(', ')}], pictures of ${name} are [${image.join(', ')}]`,
      {
        hint: 'choose the data set that the model was trained for, or leave --dataset out for random inputs',
      },
    );
  }
  const normalize = normalizationOf(options.pixels, channels);
  for await (const { images, count } of createBatches(test, { batchSize: batch, normalize })) {
    const pixels = layout.kind === 'last' ? images : toChannelsFirst(images, count, channels);
    const x = new Float32Array((pixels.length / count) * batch);
    x.set(pixels);
    yield { x, shape: [batch, ...image], rows: count };
  }
}
