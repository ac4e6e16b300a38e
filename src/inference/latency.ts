/** How long runs of a session take. */

import { performance } from 'node:perf_hooks';
import { median } from '../core/numbers/quantile.ts';
import type { Session } from './session.ts';

const RUNS = { warmUp: 5, least: 20, most: 200, budgetMs: 1000 } as const;

/** Median of at least 20 runs, after warm-up, in milliseconds. */
export async function measureLatency(session: Session, x: Float32Array, shape: readonly number[]): Promise<number> {
  const { warmUp, least, most, budgetMs } = RUNS;
  const times: number[] = [];
  const start = performance.now();
  for (let i = 0; i < warmUp + most; i++) {
    const begin = performance.now();
    await session.run(x, shape);
    const end = performance.now();
    if (i >= warmUp) times.push(end - begin);
    if (times.length >= least && end - start > budgetMs) break;
  }
  return median(times);
}

export interface BatchSpeed {
  readonly batch: number;
  /** Median time of a run of so many pictures. */
  readonly latencyMs: number;
  readonly imagesPerSecond: number;
}

/** The speed at each batch size, on copies of one picture. */
export async function measureBatches(
  session: Session,
  picture: Float32Array,
  image: readonly number[],
  sizes: readonly number[],
): Promise<BatchSpeed[]> {
  const speeds: BatchSpeed[] = [];
  for (const batch of sizes) {
    const x = new Float32Array(batch * picture.length);
    for (let i = 0; i < batch; i++) x.set(picture, i * picture.length);
    const latencyMs = await measureLatency(session, x, [batch, ...image]);
    speeds.push({ batch, latencyMs, imagesPerSecond: (batch / latencyMs) * 1000 });
  }
  return speeds;
}
