/** Do two forms of a model compute the same? Both run in onnxruntime on the same random pictures, or whatever the model takes. */

import { Rng } from '../core/numbers/rng.ts';
import { type Dtype, type Tensor, toNumbers } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import { classNumbers, outputFormOf, thresholdOf } from '../graph/output-form.ts';
import { decodeModel } from '../onnx/decode-model.ts';
import type { Pictures } from './calibrate-channels.ts';
import { AgreementSheet } from './classification.ts';
import { ALLOWED_SHARE, compareRows, isFloat, type RowDifference, toleranceFor } from './compare-rows.ts';
import { runImages } from './image-input.ts';
import type { IndexRange } from './index-range.ts';
import { drawTensor, indexRanges, shapesOf } from './random-feeds.ts';
import { createSession, type Session, type SessionOptions } from './session.ts';
import { createTensorSession, type TensorSession } from './tensor-session.ts';

export interface CompareOptions extends SessionOptions {
  /** Random inputs; 64 unless told. */
  readonly images?: number | undefined;
  readonly seed?: number | undefined;
}

export interface Comparison {
  readonly images: number;
  readonly maxDifference: number;
  /** Share of pictures with the same arg-max, 0 … 1. */
  readonly agreement: number;
  /** Pictures with a logit that differs by more than the tolerance. */
  readonly imagesBeyondTolerance: number;
  /** Absolute: `LOGITS_TOLERANCE` times the largest logit, or times 1 where that is smaller. */
  readonly tolerance: number;
  readonly passed: boolean;
}

const BATCH = 16;

/**
 * Compares two models of the same inputs on random ones: independent normal numbers, integers of their type, positions within what they
 * look up. Integers that come out are compared exactly.
 *
 * @param a, b  bytes of ONNX files.
 * @throws {BnnError} E_UNSUPPORTED for what is no tensor of numbers, E_NUMERIC when a result is NaN.
 */
export async function compareForms(a: Uint8Array, b: Uint8Array, options: CompareOptions = {}): Promise<Comparison> {
  const sessions: TensorSession[] = [];
  try {
    for (const bytes of [a, b]) sessions.push(await createTensorSession(bytes, options));
    const threshold = thresholdOf(formOf(a)(1));
    return await compareSessions(
      sessions,
      { ranges: indexRanges(b), threshold },
      options.images ?? 64,
      options.seed ?? 1,
    );
  } finally {
    for (const session of sessions) await session.dispose();
  }
}

export interface DecisionComparison {
  readonly images: number;
  /** Share of pictures with the same arg-max, 0 … 1. */
  readonly agreement: number;
  readonly passed: boolean;
}

/**
 * Compares the decisions of two models on given pictures: for forms that round differently on purpose, whose logits tell nothing.
 *
 * @param a, b  bytes of ONNX files of the same input.
 */
export async function compareDecisions(
  a: Uint8Array,
  b: Uint8Array,
  batches: readonly Pictures[],
  options: SessionOptions = {},
): Promise<DecisionComparison> {
  const sessions: Session[] = [];
  let sheet: AgreementSheet | undefined;
  let images = 0;
  let outputs = 1;
  const form = formOf(a);
  try {
    for (const bytes of [a, b]) sessions.push(await createSession(bytes, options));
    for (const { x, count } of batches) {
      const results: Float32Array[] = [];
      for (const session of sessions) {
        const { batch, sizes } = inputOf(session);
        const { data, shape } = await runImages(session, x, count, sizes, batch);
        results.push(data);
        outputs = shape[1] ?? 1;
      }
      const numbers = results.map((data) => classNumbers(data, outputs, form(outputs)));
      sheet ??= new AgreementSheet(Math.max(2, outputs));
      sheet.add(numbers[0] ?? [], numbers[1] ?? []);
      images += count;
    }
  } finally {
    for (const session of sessions) await session.dispose();
  }
  const agreement = sheet?.agreement ?? 1;
  return { images, agreement, passed: agreement >= 1 - ALLOWED_SHARE };
}

/** What the outputs of a file mean, as far as this project can read it. */
function formOf(bytes: Uint8Array): ReturnType<typeof outputFormOf> {
  try {
    return outputFormOf(decodeModel(bytes).graph);
  } catch (error) {
    // onnxruntime may well run what the IR of this project cannot hold.
    if (error instanceof BnnError) return () => 'logits';
    throw error;
  }
}

/** The fixed batch size, if there is one, and the sizes of one picture. */
function inputOf({ inputs, at }: Session): { readonly batch: number | null; readonly sizes: readonly number[] } {
  const [input, ...others] = inputs;
  if (input === undefined || others.length > 0) {
    throw new BnnError('E_UNSUPPORTED', `the model has ${inputs.length} inputs, expected one`, { at });
  }
  const [batch = null, ...sizes] = input.shape.map((size) => (typeof size === 'number' && size > 0 ? size : null));
  const known = sizes.filter((size) => size !== null);
  if (known.length < sizes.length) {
    throw new BnnError('E_UNSUPPORTED', 'the model leaves the size of its pictures open, random ones cannot be made', {
      at,
      hint: 'leave --verify out, and compare on a data set with bnn-validate --against',
    });
  }
  return { batch, sizes: known };
}

async function compareSessions(
  [first, second]: readonly TensorSession[],
  { ranges, threshold }: { readonly ranges: ReadonlyMap<string, IndexRange>; readonly threshold: number },
  images: number,
  seed: number,
): Promise<Comparison> {
  if (first === undefined || second === undefined) throw new Error('internal: two sessions expected');
  const rng = new Rng(seed);
  const fixed = first.inputs[0]?.shape[0];
  const step = typeof fixed === 'number' && fixed > 0 ? fixed : BATCH;
  const rows: RowDifference[] = [];
  let largest = 0;
  while (rows.length < images) {
    const count = Math.min(step, images - rows.length);
    const batch = fixed === step ? step : count;
    const shapes = shapesOf(first.inputs, batch);
    const feeds = new Map(
      first.inputs.map(({ name, dtype }, i) => [
        name,
        drawTensor(dtype as Dtype, shapes[i] ?? [], ranges.get(name), () => rng.normal(), rng),
      ]),
    );
    const [expected, found] = [await second.run(feeds), await first.run(feeds)];
    for (const [name, result] of [...expected, ...found]) {
      if (isFloat(result)) largest = Math.max(largest, largestOf(result, name, first.at));
    }
    rows.push(...compareRows(expected, found, batch, { threshold }).slice(0, count));
  }
  const tolerance = toleranceFor(largest);
  const imagesBeyondTolerance = rows.filter((row) => row.largest > tolerance || row.isOtherInteger).length;
  return {
    images,
    maxDifference: rows.reduce((most, row) => Math.max(most, row.largest), 0),
    agreement: rows.filter((row) => !row.isOtherDecision && !row.isOtherInteger).length / Math.max(1, rows.length),
    imagesBeyondTolerance,
    tolerance,
    passed: imagesBeyondTolerance <= ALLOWED_SHARE * images,
  };
}

/** @throws {BnnError} E_NUMERIC */
function largestOf(result: Tensor, name: string, at: string): number {
  let largest = 0;
  for (const x of toNumbers(result)) {
    if (Number.isNaN(x)) {
      throw new BnnError('E_NUMERIC', `the model gives NaN in output ${name}`, {
        at,
        hint: 'did the training diverge?',
      });
    }
    largest = Math.max(largest, Math.abs(x));
  }
  return largest;
}
