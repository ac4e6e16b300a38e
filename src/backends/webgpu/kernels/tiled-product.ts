/**
 * C[M, N] = Σ_k A(m, k) · B(k, n), where A and B are functions that read memory: a convolution and both its gradients are this with
 * suitable functions, without unfolding anything in memory ("implicit GEMM").
 *
 * A group of 256 threads computes a tile of C; a thread computes 4 or 8 rows of four columns. Slices of A and B of depth `DEPTH` go
 * through workgroup memory as vectors of four rows or columns; the next slice is read from memory while this one is multiplied. What
 * depends on a row alone, or on k alone, is computed once for a row and once for a k, not for each element.
 *
 * With `splits` > 1 the sum over k is cut into parts that different groups compute; a second dispatch adds them ("split-K"), for few
 * outputs and long sums, such as of weight gradients.
 */

import type * as tf from '@tensorflow/tfjs-core';
import { dispatch, FLAT_HEAD, flatGroups } from '../dispatch.ts';
import { matrixUnitsOf } from '../matrix-units.ts';
import type { WebgpuBackend } from '../webgpu-backend.ts';
import { allocate } from './kernel.ts';
import { largestMagnitudes, matrixShader, matrixTileOf } from './matrix-product.ts';
import { count, DEPTH, extentOf, FAR, type Finish, rowOf, THREADS, type TiledProduct } from './product-parts.ts';

const COLUMNS_PER_THREAD = 4;
const MOST_GROUPS = 65535;
/** As many groups as a large device holds at once, two on each of 128 or more cores: one more would be a wave of its own, almost empty. */
const WANTED_GROUPS = 256;
/** Fewer tiles than this leave parts of a large device idle, so that another pass over the outputs is worth it. */
const FEW_TILES = 256;
const LEAST_DEPTH_PER_SPLIT = 512;
const MOST_SPLITS = 256;

const PLAIN: Finish = { inputs: {}, numbers: {}, code: 'fn finish(i: u32, sum: f32) -> f32 { return sum; }' };

interface Tile {
  readonly columns: number;
  readonly rows: number;
  readonly rowsPerThread: 4 | 8;
}

/** Narrow tiles for few columns. */
function tileOf(n: number): Tile {
  const columns = n <= 16 ? 16 : n <= 32 ? 32 : 64;
  const rowsPerThread = columns === 16 ? 4 : 8;
  return { columns, rows: (THREADS / (columns / COLUMNS_PER_THREAD)) * rowsPerThread, rowsPerThread };
}

const FOUR = [0, 1, 2, 3];

function vector(of: (i: number) => string): string {
  return `vec4<f32>(${FOUR.map(of).join(', ')})`;
}

/** Where thread `lid` has its `item`th vector of a slice: which k, and which vector along the side. */
interface Place {
  readonly depth: string;
  readonly vector: string;
}

function placeOf(item: number, vectors: number, contiguous: 'depth' | 'side'): Place {
  const from = item * THREADS;
  return contiguous === 'depth'
    ? { depth: `lid % ${DEPTH}u`, vector: `lid / ${DEPTH}u + ${from / DEPTH}u` }
    : { depth: `lid / ${vectors}u + ${from / vectors}u`, vector: `lid % ${vectors}u` };
}

/** The WGSL of loading slices of A, from the parts that stay the same to what is stored; `j` counts a thread's vectors. */
function sliceOfA({ rows }: Tile, contiguous: 'm' | 'k') {
  const vectors = rows / 4;
  const items = count((vectors * DEPTH) / THREADS);
  const places = items.map((j) => placeOf(j, vectors, contiguous === 'k' ? 'depth' : 'side'));
  // Along the depth all vectors of a thread have one k, along the side all have the same rows.
  const ownRows = contiguous === 'k' ? items : [0];
  const row = (j: number, i: number) => `row_${contiguous === 'k' ? j : 0}_${i}`;
  const stride = vectors + 1;
  return {
    declarations: `var<workgroup> tile_a: array<vec4<f32>, ${stride * DEPTH}>;`,
    stride,
    prologue: [
      ...ownRows.flatMap((j) =>
        FOUR.map((i) => {
          const m = `first_row + 4u * (${places[j]?.vector}) + ${i}u`;
          return `  let row_${j}_${i} = select(vec3<u32>(FAR, 0u, 0u), a_row(${m}), ${m} < rows);`;
        }),
      ),
      ...items.map((j) => `  var next_a${j} = vec4<f32>();`),
    ].join('\n'),
    load: items
      .map((j) => {
        const k = `k_a${contiguous === 'k' ? 0 : j}`;
        const depth = `let ${k} = from_depth + ${places[j]?.depth};
    let depth_${k} = select(vec3<u32>(FAR, 0u, 0u), a_depth(${k}), ${k} < depth_end);`;
        const load = `next_a${j} = ${vector((i) => `load_a(${row(j, i)} + depth_${k})`)};`;
        return contiguous === 'k' && j > 0 ? `    ${load}` : `    ${depth}\n    ${load}`;
      })
      .join('\n'),
    store: items
      .map((j) => `    tile_a[(${places[j]?.depth}) * ${stride}u + ${places[j]?.vector}] = next_a${j};`)
      .join('\n'),
  };
}

function sliceOfB({ columns }: Tile, contiguous: 'k' | 'n') {
  const vectors = columns / 4;
  const { depth, vector: at } = placeOf(0, vectors, contiguous === 'k' ? 'depth' : 'side');
  const isLoader = `lid < ${vectors * DEPTH}u`;
  return {
    declarations: `var<workgroup> tile_b: array<vec4<f32>, ${vectors * DEPTH}>;`,
    prologue: [
      ...FOUR.map((i) => `  let column_${i} = first_column + 4u * (${at}) + ${i}u;`),
      ...FOUR.map((i) => `  let place_${i} = b_column(column_${i});`),
      '  var next_b = vec4<f32>();',
    ].join('\n'),
    load: `    if (${isLoader}) {
      let k_b = from_depth + ${depth};
      let depth_b = b_depth(k_b);
      next_b = ${vector((i) => `select(0.0, b[place_${i} + depth_b], (k_b < depth_end) & (column_${i} < p.n))`)};
    }`,
    store: `    if (${isLoader}) { tile_b[(${depth}) * ${vectors}u + ${at}] = next_b; }`,
  };
}

function shaderOf(product: TiledProduct, tile: Tile, finish: Finish): string {
  const { columns, rows, rowsPerThread } = tile;
  const across = columns / COLUMNS_PER_THREAD;
  const a = sliceOfA(tile, product.aContiguous);
  const b = sliceOfB(tile, product.bContiguous);
  const rowNumbers = count(rowsPerThread);
  const rowVectors = count(rowsPerThread / 4);
  return `
${FAR}
${product.loads}
${finish.code}
${a.declarations}
${b.declarations}
${product.classes?.code ?? ''}
fn put(base: u32, m: u32, rows: u32, n: u32, values: vec4<f32>) {
  if (m >= rows) { return; }
  let at = base + ${rowOf(product)} * p.n + n;
${FOUR.map((i) => `  if (n + ${i}u < p.n) { c[at + ${i}u] = finish(at + ${i}u, values[${i}]); }`).join('\n')}
}
@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let tile = wid.y * groups.x + wid.x;
  let tiles_across = (p.n + ${columns - 1}u) / ${columns}u;
  let first_row = (tile / tiles_across) * ${rows}u;
  let first_column = (tile % tiles_across) * ${columns}u;
  ${extentOf(product)}
  let column = lid % ${across}u;
  let row = lid / ${across}u;
${rowNumbers.map((i) => `  var acc${i} = vec4<f32>();`).join('\n')}
${a.prologue}
${b.prologue}
  for (var from_depth = start; ; from_depth += ${DEPTH}u) {
    if (from_depth < depth_end) {
${a.load}
${b.load}
    }
    if (from_depth > start) {
      for (var d = 0u; d < ${DEPTH}u; d++) {
        let b_values = tile_b[d * ${across}u + column];
${rowVectors.map((v) => `        let a_values${v} = tile_a[d * ${a.stride}u + row * ${rowVectors.length}u + ${v}u];`).join('\n')}
${rowNumbers.map((i) => `        acc${i} += a_values${Math.floor(i / 4)}[${i % 4}] * b_values;`).join('\n')}
      }
    }
    if (from_depth >= depth_end) { break; }
    workgroupBarrier();
${a.store}
${b.store}
    workgroupBarrier();
  }
${rowNumbers.map((i) => `  put(base, first_row + row * ${rowsPerThread}u + ${i}u, rows, first_column + column * ${COLUMNS_PER_THREAD}u, acc${i});`).join('\n')}
}`;
}

export function tiledProduct(backend: WebgpuBackend, product: TiledProduct): tf.TensorInfo {
  const { m, n, k, shape, classes, finish = PLAIN } = product;
  const units = matrixUnitsOf(backend);
  const matrixTile = units && matrixTileOf(units, product);
  const tile = matrixTile ?? tileOf(n);
  const tiles = Math.ceil(m / tile.rows) * Math.ceil(n / tile.columns);
  const splits = tiles < FEW_TILES && classes === undefined ? splitsOf(k, tiles) : 1;
  const chunk = Math.ceil(k / splits / DEPTH) * DEPTH;
  const output = allocate(backend, splits === 1 ? shape : [splits, m, n]);
  const x = Math.min(tiles, MOST_GROUPS);
  const own = splits === 1 ? finish : PLAIN;
  const kernel =
    units === null || matrixTile === null
      ? { label: product.label, code: shaderOf(product, tileOf(n), own), inputs: {} }
      : {
          label: `${product.label}, matrix units`,
          ...matrixShader(product, matrixTile, own, units),
          inputs: { largest: largestMagnitudes(backend, product.gradient === 'a' ? product.a : product.b) },
        };
  dispatch(backend, {
    ...kernel,
    multiplyAdds: classes?.multiplyAdds ?? m * n * k,
    inputs: { a: product.a, b: product.b, ...own.inputs, ...kernel.inputs },
    outputs: { c: output },
    ...(product.aElement !== undefined && { elements: { a: product.aElement } }),
    numbers: { m: ['u32', m], n: ['u32', n], k: ['u32', k], chunk: ['u32', chunk], ...own.numbers },
    groups: [x, Math.ceil(tiles / x), classes?.count ?? splits],
  });
  return splits === 1 ? output : addSplits(backend, output, splits, m * n, shape, finish);
}

function splitsOf(k: number, tiles: number): number {
  return Math.max(1, Math.min(Math.floor(k / LEAST_DEPTH_PER_SPLIT), Math.floor(WANTED_GROUPS / tiles), MOST_SPLITS));
}

function addSplits(
  backend: WebgpuBackend,
  parts: tf.TensorInfo,
  splits: number,
  size: number,
  shape: readonly number[],
  { inputs, numbers, code }: Finish,
): tf.TensorInfo {
  const sum = allocate(backend, shape);
  dispatch(backend, {
    label: 'sum of parts',
    code: `${code}
${FLAT_HEAD}
  if (i >= p.size) { return; }
  var total = 0.0;
  for (var s = 0u; s < p.splits; s++) { total += parts[s * p.size + i]; }
  sum[i] = finish(i, total);
}`,
    inputs: { parts, ...inputs },
    outputs: { sum },
    numbers: { size: ['u32', size], splits: ['u32', splits], ...numbers },
    groups: flatGroups(size),
  });
  backend.disposeData(parts.dataId);
  return sum;
}
