/** Times several models against each other in one process: short slices of each in turn, so that all see the same conditions. */

import { median, quantile } from '../core/numbers/quantile.ts';
import type { BenchModel } from './bench-conv-models.ts';
import { createNativeSession } from './native-session.ts';
import { openSession } from './open-session.ts';
import type { Placement } from './placement.ts';
import type { ProviderChoice } from './session.ts';

export interface BenchVariant extends BenchModel {
  readonly name: string;
  /** Whether our operator library is registered. */
  readonly ops: boolean;
  /** As for `createNativeSession`. */
  readonly fastStem?: boolean | undefined;
  /** Runs in onnxruntime-node on this provider, instead of our session on the CPU. */
  readonly provider?: ProviderChoice;
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
  /** On which provider how many nodes ran; null on the CPU. */
  readonly nodes: Placement['nodes'] | null;
}

const CREATIONS = 3;
const WARM_UP = { runs: 3, ms: 50 } as const;

interface TimedSession {
  /** Milliseconds of each of so many runs. */
  time(runs: number): Promise<ArrayLike<number>>;
  readonly nodes: Placement['nodes'] | null;
  dispose(): Promise<void>;
}

interface Entry {
  readonly variant: BenchVariant;
  readonly session: TimedSession;
  readonly createMs: number;
  readonly perSlice: number;
  readonly times: number[];
  readonly roundMs: number[];
}

/**
 * Times each variant over the given number of rounds. Variants take turns within a round, in an order that changes from round to round.
 *
 * @throws {BnnError} as `createNativeSession`, or as `openSession` for variants with a provider.
 */
export async function timeVariants(variants: readonly BenchVariant[], options: TimingOptions): Promise<Timing[]> {
  const entries: Entry[] = [];
  try {
    for (const variant of variants) entries.push(await prepare(variant, options));
    for (let round = 0; round < options.rounds; round++) {
      for (const { session, perSlice, times, roundMs } of orderOf(entries, round)) {
        const slice = Array.from(await session.time(perSlice));
        times.push(...slice);
        roundMs.push(median(slice));
      }
      options.onRound?.(round + 1, options.rounds);
    }
  } finally {
    for (const { session } of entries) await session.dispose();
  }
  return entries.map(({ variant, session, times, createMs, roundMs }) => ({
    name: variant.name,
    medianMs: median(times),
    p10Ms: quantile(times, 0.1),
    p90Ms: quantile(times, 0.9),
    runs: times.length,
    createMs,
    roundMs,
    nodes: session.nodes,
  }));
}

async function prepare(variant: BenchVariant, options: TimingOptions): Promise<Entry> {
  const { threads, repetitions, sliceMs = 20 } = options;
  let createMs = Number.POSITIVE_INFINITY;
  let session: TimedSession | undefined;
  for (let i = 0; i < CREATIONS; i++) {
    await session?.dispose();
    const start = performance.now();
    session = await openTimed(variant, threads);
    createMs = Math.min(createMs, performance.now() - start);
  }
  if (session === undefined) throw new Error('internal: no session');
  let fastest = Number.POSITIVE_INFINITY;
  const start = performance.now();
  for (let i = 0; i < WARM_UP.runs || performance.now() - start < WARM_UP.ms; i++) {
    const [elapsed = 0] = Array.from(await session.time(1));
    fastest = Math.min(fastest, elapsed);
  }
  const perSlice = repetitions ?? Math.max(1, Math.round(sliceMs / fastest));
  return { variant, session, createMs, perSlice, times: [], roundMs: [] };
}

async function openTimed(
  { name, bytes, feeds, ops, fastStem, provider }: BenchVariant,
  threads: number,
): Promise<TimedSession> {
  // A thread that kept waiting busily after a run would take time from the variant that runs next.
  const settings = { threads, restBetweenRuns: true, at: name };
  if (provider === undefined) {
    const session = await createNativeSession(bytes, { ...settings, ops, fuse: true, fastStem });
    return { time: (runs) => session.time(feeds, runs), nodes: null, dispose: () => session.dispose() };
  }
  const [x] = Object.values(feeds);
  const data = x?.data;
  if (x === undefined || !(data instanceof Float32Array)) throw new Error('internal: one float32 input expected');
  const session = await openSession(bytes, { ...provider, ...settings, ops: ops ? 'auto' : 'off' });
  return {
    async time(runs) {
      const times: number[] = [];
      for (let i = 0; i < runs; i++) {
        const begin = performance.now();
        await session.run(data, x.shape);
        times.push(performance.now() - begin);
      }
      return times;
    },
    get nodes() {
      return session.placement?.nodes ?? null;
    },
    dispose: () => session.dispose(),
  };
}

/** Every variant comes first as often as any other, and after each of the others. */
function orderOf<T>(entries: readonly T[], round: number): T[] {
  const first = (round >> 1) % entries.length;
  const order = [...entries.slice(first), ...entries.slice(0, first)];
  return round % 2 === 0 ? order : order.reverse();
}
