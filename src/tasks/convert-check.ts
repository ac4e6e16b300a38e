/** Runs a foreign model and what was made of it on the same inputs. */

import { LOGITS_TOLERANCE } from '../core/numbers/tolerance.ts';
import { fromNumbers } from '../core/tensors/from-numbers.ts';
import { type Dtype, type Tensor, toNumbers } from '../core/tensors/tensor.ts';
import { compareRows, isFloat, type RowDifference, toleranceFor } from '../inference/compare-rows.ts';
import type { IndexRange } from '../inference/index-range.ts';
import { indexRanges } from '../inference/random-feeds.ts';
import { createTensorSession, type TensorSession } from '../inference/tensor-session.ts';
import { type InputOptions, makeInputs } from './convert-inputs.ts';

export interface Agreement {
  readonly name: string;
  /** Largest |difference| of an output; infinite where only one of them is a number. */
  readonly maxDifference: number;
  /** Inputs for which the arg-max or an integer differs. */
  readonly changed: number;
  /** Inputs for which a float differs by more than `tolerance`, … */
  readonly beyond: number;
  /** … absolute: of the largest float that source or candidate gives. */
  readonly tolerance: number;
  /** Inputs for which an integer differs. */
  readonly otherIntegers: number;
}

export interface Check {
  readonly inputs: number;
  /** Where the inputs came from. */
  readonly from: string;
  readonly agreements: readonly Agreement[];
}

export interface Candidate {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * Compares models with a reference in a stock onnxruntime: all outputs, integers exactly.
 *
 * @param reference  bytes of the source, or of the source in standard operators.
 * @throws {BnnError} E_UNSUPPORTED when a model takes or gives something else than tensors of numbers, or takes several inputs where
 *   pictures are asked for.
 */
export async function checkModels(
  reference: Uint8Array,
  candidates: readonly Candidate[],
  options: InputOptions & { readonly threads?: number | undefined },
): Promise<Check> {
  const sessions: TensorSession[] = [];
  try {
    for (const bytes of [reference, ...candidates.map((candidate) => candidate.bytes)]) {
      sessions.push(await createTensorSession(bytes, { threads: options.threads ?? 0 }));
    }
    return await compare(sessions, candidates, options, indexRanges(reference));
  } finally {
    for (const session of sessions) await session.dispose();
  }
}

async function compare(
  sessions: readonly TensorSession[],
  candidates: readonly Candidate[],
  options: InputOptions,
  ranges: ReadonlyMap<string, IndexRange>,
): Promise<Check> {
  const [source, ...others] = sessions;
  if (source === undefined) throw new Error('internal: no model to compare with');
  const differences = candidates.map((): RowDifference[] => []);
  const largest = candidates.map(() => 0);
  let inputs = 0;
  for await (const { feeds, rows, given } of makeInputs(source, ranges, options)) {
    const count = Math.min(given, options.limit - inputs);
    const expected = await source.run(typed(feeds, source));
    for (const [k, other] of others.entries()) {
      const found = await other.run(typed(feeds, other));
      const compared = compareRows(expected, found, rows, { tolerance: LOGITS_TOLERANCE }).slice(0, count);
      differences[k]?.push(...compared);
      largest[k] = Math.max(largest[k] ?? 0, largestOf(expected), largestOf(found));
    }
    inputs += count;
    if (inputs >= options.limit) break;
  }
  const from = options.dataset === undefined ? `random inputs, ${options.pixels}` : `pictures of ${options.dataset}`;
  const agreements = candidates.map(({ name }, k) => agreementOf(name, differences[k] ?? [], largest[k] ?? 0));
  return { inputs, from, agreements };
}

function agreementOf(name: string, rows: readonly RowDifference[], largest: number): Agreement {
  const tolerance = toleranceFor(largest);
  return {
    name,
    maxDifference: rows.reduce((most, row) => Math.max(most, row.largest), 0),
    changed: rows.filter((row) => row.isOtherDecision || row.isOtherInteger).length,
    beyond: rows.filter((row) => row.largest > tolerance).length,
    tolerance,
    otherIntegers: rows.filter((row) => row.isOtherInteger).length,
  };
}

/** Of the floats that are numbers. */
function largestOf(results: ReadonlyMap<string, Tensor>): number {
  let largest = 0;
  for (const result of results.values()) {
    if (!isFloat(result)) continue;
    for (const x of toNumbers(result)) if (Number.isFinite(x)) largest = Math.max(largest, Math.abs(x));
  }
  return largest;
}

/** A conversion may take float32 where its source takes another float type. */
function typed(feeds: ReadonlyMap<string, Tensor>, { inputs }: TensorSession): ReadonlyMap<string, Tensor> {
  return new Map(
    Array.from(feeds, ([name, tensor]) => {
      const dtype = inputs.find((input) => input.name === name)?.dtype as Dtype | undefined;
      const isSame = dtype === undefined || dtype === tensor.dtype;
      return [name, isSame ? tensor : fromNumbers(dtype, tensor.shape, toNumbers(tensor))];
    }),
  );
}
