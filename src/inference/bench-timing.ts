/** Times several models against each other in one process: short slices of each in turn, so that all see the same conditions. */

import { median, quantile } from '../core/quantile.ts';
import type { BenchModel } from './bench-conv-models.ts';
import { createNativeSession, type NativeSession } from './native-session.ts';

export interface BenchVariant extends BenchModel {
  readonly name: string;
  /** Whether our operator library is registered. */
  readonly ops: boolean;
}

export interface TimingOptions {
  readonly threads: number;
  /** Slices of each variant. */
  readonly rounds: number;
  /** Runs of a slice; unless told, as many as fill `sliceMs`. */
  readonly repetitions?: number | undefined;
  /** 20 unless told. */
  readonly sliceMs?: number | undefined;
  readonly onRound?: ((done: number, total: number) => void) | undefined;
}

export interface Timing {
  readonly name: string;
  /** Over all runs of all rounds. */
  readonly medianMs: number;
  readonly p10Ms: number;
  readonly p90Ms: number;
  readonly runs: number;
  /** Time to make the session, the least of `CREATIONS`. */
  readonly createMs: number;
  /** Median of each round, for ratios within a round. */
  readonly roundMs: readonly number[];
}

const CREATIONS = 3;
const WARM_UP = { runs: 3, ms: 50 } as const;

/** A worker thread that keeps spinning after a run would take time from the variant that runs next. */
const CONFIG = { 'session.force_spinning_stop': '1' };

interface Entry {
  readonly variant: BenchVariant;
  readonly session: NativeSession;
  readonly createMs: number;
  readonly perSlice: number;
  readonly times: number[];
  readonly roundMs: number[];
}

/**
 * Times each variant over the given number of rounds. Variants take turns within a round, in an order that changes from round to round.
 *
 * @throws {BnnError} as `createNativeSession`.
 */
export async function timeVariants(variants: readonly BenchVariant[], options: TimingOptions): Promise<Timing[]> {
  const entries: Entry[] = [];
  try {
    for (const variant of variants) entries.push(await prepare(variant, options));
    for (let round = 0; round < options.rounds; round++) {
      for (const { session, variant, perSlice, times, roundMs } of orderOf(entries, round)) {
        const slice = await session.time(variant.feeds, perSlice);
        times.push(...slice);
        roundMs.push(median(slice));
      }
      options.onRound?.(round + 1, options.rounds);
    }
  } finally {
    for (const { session } of entries) await session.dispose();
  }
  return entries.map(({ variant, times, createMs, roundMs }) => ({
    name: variant.name,
    medianMs: median(times),
    p10Ms: quantile(times, 0.1),
    p90Ms: quantile(times, 0.9),
    runs: times.length,
    createMs,
    roundMs,
  }));
}

async function prepare(variant: BenchVariant, options: TimingOptions): Promise<Entry> {
  const { threads, repetitions, sliceMs = 20 } = options;
  let createMs = Number.POSITIVE_INFINITY;
  let session: NativeSession | undefined;
  for (let i = 0; i < CREATIONS; i++) {
    await session?.dispose();
    const start = performance.now();
    session = await createNativeSession(variant.bytes, { threads, ops: variant.ops, config: CONFIG, at: variant.name });
    createMs = Math.min(createMs, performance.now() - start);
  }
  if (session === undefined) throw new Error('internal: no session');
  let fastest = Number.POSITIVE_INFINITY;
  const start = performance.now();
  for (let i = 0; i < WARM_UP.runs || performance.now() - start < WARM_UP.ms; i++) {
    const [elapsed = 0] = await session.time(variant.feeds, 1);
    fastest = Math.min(fastest, elapsed);
  }
  const perSlice = repetitions ?? Math.max(1, Math.round(sliceMs / fastest));
  return { variant, session, createMs, perSlice, times: [], roundMs: [] };
}

/** Every variant comes first as often as any other, and after each of the others. */
function orderOf<T>(entries: readonly T[], round: number): T[] {
  const first = (round >> 1) % entries.length;
  const order = [...entries.slice(first), ...entries.slice(0, first)];
  return round % 2 === 0 ? order : order.reverse();
}
