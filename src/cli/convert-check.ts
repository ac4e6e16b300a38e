/** Runs a foreign model and what was made of it on the same inputs. */

import { argMax } from '../inference/classification.ts';
import { createSession, type Session } from '../inference/session.ts';
import { type InputOptions, makeInputs } from './convert-inputs.ts';

export interface Agreement {
  readonly name: string;
  /** Largest |difference| of an output; infinite where only one of them is a number. */
  readonly maxDifference: number;
  /** Inputs whose arg-max differs. */
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
 * Compares models with a reference in a stock onnxruntime.
 *
 * @param reference  bytes of the source, or of the source in standard operators.
 * @throws {BnnError} E_UNSUPPORTED when a model has several inputs, or other types than float32.
 */
export async function checkModels(
  reference: Uint8Array,
  candidates: readonly Candidate[],
  options: InputOptions & { readonly threads?: number | undefined },
): Promise<Check> {
  const sessions: Session[] = [];
  try {
    for (const bytes of [reference, ...candidates.map((candidate) => candidate.bytes)]) {
      sessions.push(await createSession(bytes, { threads: options.threads }));
    }
    return await compare(sessions, candidates, options);
  } finally {
    for (const session of sessions) await session.dispose();
  }
}

function differenceOf(a = Number.NaN, b = Number.NaN): number {
  if (Object.is(a, b) || a === b) return 0;
  const difference = Math.abs(a - b);
  return Number.isNaN(difference) ? Infinity : difference;
}

async function compare(
  sessions: readonly Session[],
  candidates: readonly Candidate[],
  options: InputOptions,
): Promise<Check> {
  const [source, ...others] = sessions;
  const input = source?.inputs[0];
  if (source === undefined || input === undefined) throw new Error('internal: no model to compare with');
  const largest = candidates.map(() => 0);
  const changed = candidates.map(() => 0);
  let inputs = 0;
  for await (const { x, shape, rows } of makeInputs(input, options)) {
    const count = Math.min(rows, options.limit - inputs);
    const expected = await source.run(x, shape);
    const width = expected.data.length / (shape[0] ?? 1);
    for (const [k, other] of others.entries()) {
      const { data } = await other.run(x, shape);
      for (let i = 0; i < count * width; i++) {
        largest[k] = Math.max(largest[k] ?? 0, differenceOf(expected.data[i], data[i]));
      }
      for (let row = 0; row < count; row++) {
        if (argMax(expected.data, row * width, width) !== argMax(data, row * width, width))
          changed[k] = (changed[k] ?? 0) + 1;
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
