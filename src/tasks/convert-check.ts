/** Runs a foreign model and what was made of it on the same inputs. */

import { LOGITS_TOLERANCE } from '../core/numbers/tolerance.ts';
import { fromNumbers } from '../core/tensors/from-numbers.ts';
import { type Dtype, type Tensor, toNumbers } from '../core/tensors/tensor.ts';
import { compareRows } from '../inference/compare-rows.ts';
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
  const largest = candidates.map(() => 0);
  const changed = candidates.map(() => 0);
  let inputs = 0;
  for await (const { feeds, rows, given } of makeInputs(source, ranges, options)) {
    const count = Math.min(given, options.limit - inputs);
    const expected = await source.run(typed(feeds, source));
    for (const [k, other] of others.entries()) {
      const found = await other.run(typed(feeds, other));
      for (const difference of compareRows(expected, found, rows, { tolerance: LOGITS_TOLERANCE }).slice(0, count)) {
        largest[k] = Math.max(largest[k] ?? 0, difference.largest);
        if (difference.isOtherDecision || difference.isOtherInteger) changed[k] = (changed[k] ?? 0) + 1;
      }
    }
    inputs += count;
    if (inputs >= options.limit) break;
  }
  const from = options.dataset === undefined ? `random inputs, ${options.pixels}` : `pictures of ${options.dataset}`;
  const agreements = candidates.map(({ name }, k) => ({
    name,
    maxDifference: largest[k] ?? 0,
    changed: changed[k] ?? 0,
  }));
  return { inputs, from, agreements };
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
