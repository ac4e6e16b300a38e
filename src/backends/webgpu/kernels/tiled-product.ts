/**
 * C[M, N] = Σ_k A(m, k) · B(k, n), where A and B are functions that read memory: a convolution and both its gradients are this with
 * suitable functions, without unfolding anything in memory ("implicit GEMM").
 *
 * A group of 256 threads computes a tile of C; a thread computes `rowsPerThread` rows of four columns. Slices of A and B of depth
 * `DEPTH` go through workgroup memory. With `splits` > 1 the sum over k is cut into parts that different groups compute; a second
 * dispatch adds them ("split-K"), for the few outputs and long sums of weight gradients.
 */

import type * as tf from '@tensorflow/tfjs-core';
import type { WebgpuBackend } from '../device.ts';
import { dispatch, FLAT_HEAD, flatGroups } from '../dispatch.ts';
import { allocate } from './kernel.ts';

const THREADS = 256;
const DEPTH = 8;
const COLUMNS_PER_THREAD = 4;
const MOST_GROUPS = 65535;
/** As many groups as keep a large device busy. */
const WANTED_GROUPS = 1024;
const LEAST_DEPTH_PER_SPLIT = 256;

export interface TiledProduct {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: tf.TensorInfo;
  readonly b: tf.TensorInfo;
  /** WGSL declarations of `fn load_a(m: u32, k: u32) -> f32` and `fn load_b(k: u32, n: u32) -> f32`; arguments are in range. */
  readonly loads: string;
  /** Along which index neighbouring elements of A and B lie side by side in memory. */
  readonly aContiguous: 'm' | 'k';
  readonly bContiguous: 'k' | 'n';
  readonly numbers?: Readonly<Record<string, readonly [type: 'u32' | 'f32', value: number]>>;
  /** Whether the sum over k may be cut into parts. */
  readonly splitsDepth: boolean;
  readonly shape: readonly number[];
}

/** Columns and rows of a tile for N columns in all: narrow tiles for few output channels. */
function tileOf(n: number): { columns: number; rows: number; rowsPerThread: number } {
  const columns = n <= 16 ? 16 : n <= 32 ? 32 : 64;
  const rowsPerThread = columns === 16 ? 4 : 8;
  return { columns, rows: (THREADS / (columns / COLUMNS_PER_THREAD)) * rowsPerThread, rowsPerThread };
}

/** A loop, not its unrolled text: compilers of drivers unroll it where they like, and translating the text takes them seconds. */
function loadTile(matrix: 'a' | 'b', size: number, contiguous: 'depth' | 'side'): string {
  const [depth, side] = contiguous === 'depth' ? [`e % ${DEPTH}u`, `e / ${DEPTH}u`] : [`e / ${size}u`, `e % ${size}u`];
  const load = matrix === 'a' ? 'load_a(at, k)' : 'load_b(k, at)';
  const first = matrix === 'a' ? 'first_row' : 'first_column';
  return `    for (var e = lid; e < ${size * DEPTH}u; e += ${THREADS}u) {
      let depth = ${depth};
      let side = ${side};
      let k = depth_start + depth;
      let at = ${first} + side;
      var value = 0.0;
      if (k < depth_end && at < p.${matrix === 'a' ? 'm' : 'n'}) { value = ${load}; }
      tile_${matrix}[depth * ${matrix === 'a' ? size + 1 : size}u + side] = value;
    }`;
}

export function tiledProduct(backend: WebgpuBackend, product: TiledProduct): tf.TensorInfo {
  const { m, n, k } = product;
  const { columns, rows, rowsPerThread } = tileOf(n);
  const tiles = Math.ceil(m / rows) * Math.ceil(n / columns);
  const most = product.splitsDepth ? Math.max(1, Math.floor(k / LEAST_DEPTH_PER_SPLIT)) : 1;
  const splits = Math.max(1, Math.min(most, Math.ceil(WANTED_GROUPS / tiles), 256));
  const chunk = Math.ceil(k / splits / DEPTH) * DEPTH;
  const output = allocate(backend, splits === 1 ? product.shape : [splits, m, n]);
  const across = columns / COLUMNS_PER_THREAD;
  const rowNumbers = Array.from({ length: rowsPerThread }, (_, i) => i);
  const x = Math.min(tiles, MOST_GROUPS);
  dispatch(backend, {
    code: `
${product.loads}
var<workgroup> tile_a: array<f32, ${(rows + 1) * DEPTH}>;
var<workgroup> tile_b: array<f32, ${columns * DEPTH}>;
fn put(base: u32, m: u32, n: u32, values: vec4<f32>) {
  if (m >= p.m) { return; }
  let at = base + m * p.n + n;
  if (n < p.n) { c[at] = values.x; }
  if (n + 1u < p.n) { c[at + 1u] = values.y; }
  if (n + 2u < p.n) { c[at + 2u] = values.z; }
  if (n + 3u < p.n) { c[at + 3u] = values.w; }
}
@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let tile = wid.y * groups.x + wid.x;
  let tiles_across = (p.n + ${columns - 1}u) / ${columns}u;
  let first_row = (tile / tiles_across) * ${rows}u;
  let first_column = (tile % tiles_across) * ${columns}u;
  let depth_end = min(p.k, (wid.z + 1u) * p.chunk);
  let column = (lid % ${across}u) * ${COLUMNS_PER_THREAD}u;
  let row = (lid / ${across}u) * ${rowsPerThread}u;
${rowNumbers.map((i) => `  var acc${i} = vec4<f32>();`).join('\n')}
  for (var depth_start = wid.z * p.chunk; depth_start < depth_end; depth_start += ${DEPTH}u) {
${loadTile('a', rows, product.aContiguous === 'k' ? 'depth' : 'side')}
${loadTile('b', columns, product.bContiguous === 'k' ? 'depth' : 'side')}
    workgroupBarrier();
    for (var d = 0u; d < ${DEPTH}u; d++) {
      let at_b = d * ${columns}u + column;
      let b = vec4<f32>(tile_b[at_b], tile_b[at_b + 1u], tile_b[at_b + 2u], tile_b[at_b + 3u]);
      let at_a = d * ${rows + 1}u + row;
${rowNumbers.map((i) => `      acc${i} += tile_a[at_a + ${i}u] * b;`).join('\n')}
    }
    workgroupBarrier();
  }
  let base = wid.z * p.m * p.n;
${rowNumbers.map((i) => `  put(base, first_row + row + ${i}u, first_column + column, acc${i});`).join('\n')}
}`,
    inputs: { a: product.a, b: product.b },
    outputs: { c: output },
    numbers: { m: ['u32', m], n: ['u32', n], k: ['u32', k], chunk: ['u32', chunk], ...product.numbers },
    groups: [x, Math.ceil(tiles / x), splits],
  });
  return splits === 1 ? output : addSplits(backend, output, splits, m * n, product.shape);
}

function addSplits(
  backend: WebgpuBackend,
  parts: tf.TensorInfo,
  splits: number,
  size: number,
  shape: readonly number[],
): tf.TensorInfo {
  const sum = allocate(backend, shape);
  dispatch(backend, {
    code: `${FLAT_HEAD}
  if (i >= p.size) { return; }
  var total = 0.0;
  for (var s = 0u; s < p.splits; s++) { total += parts[s * p.size + i]; }
  sum[i] = total;
}`,
    inputs: { parts },
    outputs: { sum },
    numbers: { size: ['u32', size], splits: ['u32', splits] },
    groups: flatGroups(size),
  });
  backend.disposeData(parts.dataId);
  return sum;
}
