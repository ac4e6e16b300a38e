/** What a classifier for pictures takes and gives, and batches in its layout. */

import { BnnError } from '../errors.ts';
import type { RunOutput, Session } from './session.ts';

export interface ImageInput {
  /** A fixed batch size, or null when any is taken. */
  readonly batch: number | null;
  /** Null where the model takes any size. */
  readonly channels: number | null;
  readonly height: number | null;
  readonly width: number | null;
}

/**
 * The input of a model for pictures, NCHW.
 *
 * @throws {BnnError} E_UNSUPPORTED when the model has several inputs, or not one of rank 4.
 */
export function imageInputOf({ inputs, at }: Session): ImageInput {
  const [input, ...others] = inputs;
  if (input === undefined || others.length > 0 || input.shape.length !== 4) {
    const found = inputs.map(({ name, shape }) => `${name}[${shape.join(', ')}]`).join(', ');
    throw new BnnError('E_UNSUPPORTED', `the model takes ${found || 'nothing'}, expected one input [N, C, H, W]`, {
      at,
    });
  }
  const [batch, channels, height, width] = input.shape.map((size) =>
    typeof size === 'number' && size > 0 ? size : null,
  );
  return { batch: batch ?? null, channels: channels ?? null, height: height ?? null, width: width ?? null };
}

/** f32[n][c][h·w] from f32[n][h·w][c]. */
export function toChannelsFirst(images: Float32Array, count: number, channels: number): Float32Array {
  if (channels === 1) return images;
  const planar = new Float32Array(images.length);
  const pixels = images.length / count / channels;
  for (let n = 0; n < count; n++) {
    const base = n * pixels * channels;
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < pixels; p++) planar[base + c * pixels + p] = images[base + p * channels + c] ?? 0;
    }
  }
  return planar;
}

/**
 * Runs `count` pictures (f32[count][C][H][W], or rows of other data). A model of a fixed batch gets as many at a time, the last time with
 * zeros behind them, whose results are dropped.
 *
 * @returns  f32[count][classes].
 * @throws {BnnError} E_SHAPE when the output is not one row per picture, E_NUMERIC when a logit is NaN.
 */
export async function runImages(
  session: Session,
  x: Float32Array,
  count: number,
  image: readonly number[],
  fixedBatch: number | null,
): Promise<RunOutput> {
  const rows = fixedBatch ?? count;
  if (count <= rows) return runBatch(session, x, { count, rows, from: 0 }, image);
  const size = x.length / count;
  let logits = new Float32Array(0);
  let classes = 0;
  for (let from = 0; from < count; from += rows) {
    const part = x.subarray(from * size, Math.min(from + rows, count) * size);
    const { data, shape } = await runBatch(session, part, { count: part.length / size, rows, from }, image);
    if (from === 0) {
      classes = shape[1] ?? 0;
      logits = new Float32Array(count * classes);
    }
    logits.set(data, from * classes);
  }
  return { data: logits, shape: [count, classes] };
}

interface Rows {
  readonly count: number;
  /** What the model takes, at least `count`. */
  readonly rows: number;
  /** Which picture the first is, in a message. */
  readonly from: number;
}

async function runBatch(
  session: Session,
  x: Float32Array,
  { count, rows, from }: Rows,
  image: readonly number[],
): Promise<RunOutput> {
  let input = x;
  if (rows > count) {
    input = new Float32Array((x.length / count) * rows);
    input.set(x);
  }
  const { data, shape } = await session.run(input, [rows, ...image]);
  const classes = data.length / rows;
  if (shape[0] !== rows || !Number.isInteger(classes)) {
    throw new BnnError(
      'E_SHAPE',
      `the model gives [${shape.join(', ')}] for ${rows} pictures, expected [${rows}, classes]`,
      {
        at: session.at,
      },
    );
  }
  const logits = data.subarray(0, count * classes);
  const bad = logits.findIndex(Number.isNaN);
  if (bad >= 0) {
    throw new BnnError('E_NUMERIC', `the model gives NaN for picture ${from + Math.floor(bad / classes)} of a batch`, {
      at: session.at,
      hint: 'did the training diverge?',
    });
  }
  return { data: logits, shape: [count, classes] };
}
