/** `BnnSignGradTable` {x, dy}: dx = dy · s(x), s in straight pieces over [0, limit] (see `estimators/slope-table.ts`), 0 beyond. */

import type * as tf from '@tensorflow/tfjs-core';
import type { WebgpuBackend } from '../device.ts';
import { dispatch, FLAT_HEAD, flatGroups } from '../dispatch.ts';
import { type Attributes, allocate, type Inputs, numberOf, registerKernel, required, sizeOf } from './kernel.ts';

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

function signGradTable(backend: WebgpuBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo {
  const [x, dy] = [required(inputs, 'x'), required(inputs, 'dy')];
  const { pieces } = attrs;
  if (!(pieces instanceof Float32Array)) throw new Error('internal: the attribute "pieces" is no Float32Array');
  const limit = numberOf(attrs, 'limit');
  const dx = allocate(backend, x.shape);
  const size = sizeOf(x);
  const cells = pieces.length / 2;
  dispatch(backend, {
    code: `${FLAT_HEAD}
  if (i >= p.size) { return; }
  let a = abs(x[i]);
  let u = min(a, p.limit) * p.scale;
  let k = min(u32(u), p.last);
  let s = table[2u * k] + table[2u * k + 1u] * (u - f32(k));
  dx[i] = select(0.0, dy[i] * s, a <= p.limit);
}`,
    inputs: { x, dy, table: tableOf(backend, pieces) },
    outputs: { dx },
    numbers: {
      size: ['u32', size],
      last: ['u32', cells - 1],
      limit: ['f32', limit],
      scale: ['f32', cells / Math.fround(limit)],
    },
    groups: flatGroups(size),
  });
  return dx;
}

export function registerSlopeTable(): void {
  registerKernel('BnnSignGradTable', signGradTable);
}
