/** Inputs to compare models on: random numbers, or the test pictures of a data set in the layout that the model takes. */

import { Rng } from '../core/numbers/rng.ts';
import { fromNumbers } from '../core/tensors/from-numbers.ts';
import type { Dtype, Tensor } from '../core/tensors/tensor.ts';
import { createBatches } from '../data/batches/batches.ts';
import { hasFreeImageSize, loadDataset } from '../data/load-dataset.ts';
import type { Normalization } from '../data/normalization.ts';
import { BnnError } from '../errors.ts';
import { toChannelsFirst } from '../inference/image-input.ts';
import type { IndexRange } from '../inference/index-range.ts';
import { drawTensor, shapesOf } from '../inference/random-feeds.ts';
import type { TensorInfo } from '../inference/session.ts';
import type { TensorSession } from '../inference/tensor-session.ts';

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
  /** By the names of the inputs, in their types. */
  readonly feeds: ReadonlyMap<string, Tensor>;
  /** Inputs in the batch, … */
  readonly rows: number;
  /** … of which so many count; behind them are zeros. */
  readonly given: number;
}

const BATCH = 32;

/**
 * Batches for the inputs of a model; a fixed batch size of the model is kept to.
 *
 * @param ranges  of inputs that the model looks things up with.
 * @throws {BnnError} E_SHAPE when the pictures do not have the model's size, E_UNSUPPORTED for pictures where it takes several inputs,
 *   and what loading a data set throws.
 */
export async function* makeInputs(
  { inputs, at }: Pick<TensorSession, 'inputs' | 'at'>,
  ranges: ReadonlyMap<string, IndexRange>,
  options: InputOptions,
): AsyncGenerator<Inputs> {
  const [input, ...others] = inputs;
  const first = input?.shape[0];
  const batch = typeof first === 'number' && first > 0 ? first : BATCH;
  if (options.dataset === undefined) {
    yield* randomInputs(inputs, ranges, batch, options);
    return;
  }
  if (input === undefined || others.length > 0) {
    throw new BnnError('E_UNSUPPORTED', `the model has ${inputs.length} inputs, pictures go into one`, {
      at,
      hint: 'leave --dataset out for random inputs',
    });
  }
  for await (const { x, shape, rows } of pictureInputs(input, input.shape.slice(1), batch, options, options.dataset)) {
    const tensor = fromNumbers(input.dtype as Dtype, shape, x);
    yield { feeds: new Map([[input.name, tensor]]), rows: batch, given: rows };
  }
}

function* randomInputs(
  inputs: readonly TensorInfo[],
  ranges: ReadonlyMap<string, IndexRange>,
  batch: number,
  { limit, pixels }: InputOptions,
): Generator<Inputs> {
  const shapes = shapesOf(inputs, batch);
  const rng = new Rng(1);
  const draw = {
    '0..1': () => rng.uniform(),
    '0..255': () => rng.below(256),
    '-1..1': () => 2 * rng.uniform() - 1,
    normalized: () => rng.normal(),
  }[pixels];
  for (let done = 0; done < limit; done += batch) {
    const feeds = new Map(
      inputs.map(({ name, dtype }, i) => [
        name,
        drawTensor(dtype as Dtype, shapes[i] ?? [], ranges.get(name), draw, rng),
      ]),
    );
    yield { feeds, rows: batch, given: batch };
  }
}

interface Pictures {
  /** f32[batch][...shape]. */
  readonly x: Float32Array;
  readonly shape: readonly number[];
  readonly rows: number;
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
): AsyncGenerator<Pictures> {
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
