/** s(x), an estimator's stand-in for sign′, as WGSL; see `kernels/sign.ts`. */

import type * as tf from '@tensorflow/tfjs-core';
import type { Slope as SlopeAttributes, TableSlope } from '../../../kernels/sign.ts';
import type { Numbers } from '../dispatch.ts';
import type { WebgpuBackend } from '../webgpu-backend.ts';

export interface Slope {
  /** Assigns s from x. The schedule's numbers are no part of it, so that a new epoch needs no new shader. */
  readonly code: string;
  readonly numbers: Numbers;
  readonly inputs: Readonly<Record<string, tf.TensorInfo>>;
}

export function slopeOf(backend: WebgpuBackend, slope: SlopeAttributes): Slope {
  if (slope.estimator === 'ste') return boxOf(slope.clip);
  return slope.estimator === 'reste' ? resteOf(slope.o, slope.t, slope.m) : tableSlope(backend, slope);
}

function boxOf(limit: number): Slope {
  if (limit === Infinity) return { code: 'let s = 1.0;', numbers: {}, inputs: {} };
  const code = 'let s = select(0.0, 1.0, abs(x) <= p.slope_limit);';
  return { code, numbers: { slope_limit: ['f32', limit] }, inputs: {} };
}

function resteOf(o: number, t: number, m: number): Slope {
  if (o === 1) return boxOf(t);
  const power = (1 - o) / o;
  return {
    code: `
  let a = abs(x);
  let curve = select(pow(max(a, p.slope_m), p.slope_power) * p.slope_factor, p.slope_inner, a <= p.slope_m);
  let s = select(0.0, curve, a <= p.slope_limit);`,
    numbers: {
      slope_m: ['f32', m],
      slope_power: ['f32', power],
      slope_factor: ['f32', 1 / o],
      // The float32 m only decides which branch is taken; its slope is that of the decimal number that the user gave.
      slope_inner: ['f32', Number(m.toPrecision(7)) ** power],
      slope_limit: ['f32', t],
    },
    inputs: {},
  };
}

/** s in straight pieces over [0, limit] (see `estimators/slope-table.ts`), 0 beyond. */
function tableSlope(backend: WebgpuBackend, { pieces, limit }: TableSlope): Slope {
  const cells = pieces.length / 2;
  return {
    code: `
  let a = abs(x);
  let u = min(a, p.slope_limit) * p.slope_scale;
  let piece = min(u32(u), p.slope_last);
  let line = slope_table[2u * piece] + slope_table[2u * piece + 1u] * (u - f32(piece));
  let s = select(0.0, line, a <= p.slope_limit);`,
    numbers: {
      slope_last: ['u32', cells - 1],
      slope_limit: ['f32', limit],
      slope_scale: ['f32', cells / Math.fround(limit)],
    },
    inputs: { slope_table: tableOf(backend, pieces) },
  };
}

/** Schedules make a new table in every epoch, for weights and for activations. */
const MOST_TABLES = 4;

/** Tables on the device, the oldest first. */
const tables = new Map<Float32Array, tf.TensorInfo>();

function tableOf(backend: WebgpuBackend, pieces: Float32Array): tf.TensorInfo {
  const known = tables.get(pieces);
  if (known !== undefined) return known;
  for (const [oldest, { dataId }] of tables) {
    if (tables.size < MOST_TABLES) break;
    backend.disposeData(dataId);
    tables.delete(oldest);
  }
  const table = backend.makeTensorInfo([pieces.length], 'float32', pieces);
  tables.set(pieces, table);
  return table;
}
