/**
 * Sums over the rows of [rows, C] data, several sums at once, in two dispatches:
 *
 * 1. A group sums a chunk of rows for a tile of channels: neighbouring threads have neighbouring channels, so reads are contiguous.
 * 2. One group per channel adds the chunks and computes what the caller makes of the sums.
 *
 * Each thread adds a few hundred numbers and the rest is a tree, so the error stays near 1e-7 relative to the sum of magnitudes.
 */

import type * as tf from '@tensorflow/tfjs-core';
import { dispatch, type Element } from '../dispatch.ts';
import type { WebgpuBackend } from '../webgpu-backend.ts';
import { allocate } from './kernel.ts';

const THREADS = 256;
/** Groups of the first dispatch: enough for the largest devices, few enough for the second dispatch. */
const MOST_CHUNKS = 512;
const LEAST_ROWS_PER_THREAD = 16;

export interface ColumnSums {
  /** What they are for. */
  readonly label: string;
  readonly rows: number;
  readonly channels: number;
  /** f32[rows, C] inputs are indexed with `i`, f32[C] inputs with `c`, in the code below. */
  readonly inputs: Readonly<Record<string, tf.TensorInfo>>;
  /** Element types of inputs other than f32. */
  readonly elements?: Readonly<Record<string, Element>>;
  /** WGSL before the functions. */
  readonly declarations?: string;
  /** WGSL before the loop over the rows; knows `c`. */
  readonly prologue?: string;
  /** f32[C] results of the first dispatch, and WGSL after the prologue that writes them at `c`, once for each channel. */
  readonly early?: { readonly outputs: Readonly<Record<string, tf.TensorInfo>>; readonly code: string };
  /** WGSL that assigns the terms of element i = row · C + c to `t0`, `t1` … */
  readonly terms: string;
  readonly count: number;
  /** Results. */
  readonly outputs: Readonly<Record<string, tf.TensorInfo>>;
  /** Inputs that only `finish` reads. */
  readonly finishInputs?: Readonly<Record<string, tf.TensorInfo>>;
  /** WGSL that writes to the outputs at `c` from the sums `s0`, `s1` …; `n` is the number of rows as f32. */
  readonly finish: string;
}

function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, k) => `${prefix}${k}`);
}

export function columnSums(backend: WebgpuBackend, sums: ColumnSums): void {
  const { rows, channels, count } = sums;
  const width = Math.min(64, 2 ** Math.ceil(Math.log2(Math.max(1, channels))));
  const lanes = THREADS / width;
  const chunks = Math.max(1, Math.min(MOST_CHUNKS, Math.ceil(rows / (lanes * LEAST_ROWS_PER_THREAD))));
  const partial = allocate(backend, [chunks, count, channels]);
  const [acc, term] = [names('a', count), names('t', count)];
  dispatch(backend, {
    label: `${sums.label}, sums`,
    code: `${sums.declarations ?? ''}
var<workgroup> shared_sums: array<array<f32, ${THREADS}>, ${count}>;
@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let lane = lid / ${width}u;
  let c = wid.x * ${width}u + lid % ${width}u;
  let is_channel = c < ${channels}u;
${acc.map((name) => `  var ${name} = 0.0;`).join('\n')}
  if (is_channel) {
    ${sums.prologue ?? ''}
    ${sums.early === undefined ? '' : `if (lane == 0u && wid.y == 0u) { ${sums.early.code} }`}
    let end = min(p.rows, (wid.y + 1u) * p.chunk);
    for (var row = wid.y * p.chunk + lane; row < end; row += ${lanes}u) {
      let i = row * ${channels}u + c;
${term.map((name) => `      var ${name}: f32;`).join('\n')}
      ${sums.terms}
${acc.map((name, k) => `      ${name} += t${k};`).join('\n')}
    }
  }
${acc.map((name, k) => `  shared_sums[${k}][lid] = ${name};`).join('\n')}
  for (var half = ${lanes / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
${acc.map((_, k) => `      shared_sums[${k}][lid] += shared_sums[${k}][lid + half * ${width}u];`).join('\n')}
    }
  }
  if (lane == 0u && is_channel) {
${acc.map((_, k) => `    partial[(wid.y * ${count}u + ${k}u) * ${channels}u + c] = shared_sums[${k}][lid];`).join('\n')}
  }
}`,
    inputs: sums.inputs,
    outputs: { partial, ...sums.early?.outputs },
    ...(sums.elements !== undefined && { elements: sums.elements }),
    numbers: { rows: ['u32', rows], chunk: ['u32', Math.ceil(rows / chunks)] },
    groups: [Math.ceil(channels / width), chunks, 1],
  });
  dispatch(backend, {
    label: `${sums.label}, total`,
    code: `
var<workgroup> shared_sums: array<array<f32, 64>, ${count}>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let c = wid.x;
${acc.map((name) => `  var ${name} = 0.0;`).join('\n')}
  for (var chunk = lid; chunk < p.chunks; chunk += 64u) {
${acc.map((name, k) => `    ${name} += partial[(chunk * ${count}u + ${k}u) * ${channels}u + c];`).join('\n')}
  }
${acc.map((name, k) => `  shared_sums[${k}][lid] = ${name};`).join('\n')}
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lid < half) {
${acc.map((_, k) => `      shared_sums[${k}][lid] += shared_sums[${k}][lid + half];`).join('\n')}
    }
  }
  if (lid == 0u) {
    let n = f32(p.rows);
${acc.map((_, k) => `    let s${k} = shared_sums[${k}][0];`).join('\n')}
    ${sums.finish}
  }
}`,
    inputs: { partial, ...sums.finishInputs },
    outputs: sums.outputs,
    numbers: { rows: ['u32', rows], chunks: ['u32', chunks] },
    groups: [channels, 1, 1],
  });
  backend.disposeData(partial.dataId);
}
