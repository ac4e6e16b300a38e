/**
 * A tiled product by matrix units, for products of a gradient with ±1 (or 0): these are exact in float16, and the gradient is the sum of two
 * float16 numbers,
 *
 *     g = s · (high + 2⁻¹¹ · low),   high = half(g / s),   low = half(2¹¹ · (g / s − high)),
 *
 * with s the power of two for which the largest |g| / s lies in [2¹⁴, 2¹⁵). Each rounding keeps 11 bits, and what is left after the first is
 * exact in float32, so about 22 of 24 bits are kept, of all that is not 2²⁸ times smaller than the largest. Sums of both are float32.
 *
 * A group of threads computes a tile of C as in `tiled-product.ts`; each subgroup has a block of matrices of it. Slices of A and B lie in
 * workgroup memory with their depth side by side, rows apart by a few elements more, so that neighbouring rows lie in other banks.
 */

import type * as tf from '@tensorflow/tfjs-core';
import { dispatch } from '../dispatch.ts';
import { keepForm, keptForm } from '../kept-forms.ts';
import type { MatrixUnits } from '../matrix-units.ts';
import type { WebgpuBackend } from '../webgpu-backend.ts';
import { allocate, sizeOf } from './kernel.ts';
import { count, DEPTH, extentOf, FAR, type Finish, rowOf, THREADS, type TiledProduct } from './product-parts.ts';

/** Of `high` and `low`. */
const PARTS = 2;
const LOW_BITS = 11;
/** Of elements that are 16 bits: whole multiples of 16 bytes, which matrices are loaded from. */
const STRIDE = DEPTH + 8;
/** Fewer columns would leave most of a tile empty. */
const LEAST_COLUMNS = 32;

export interface MatrixTile {
  readonly rows: number;
  readonly columns: number;
  /** Subgroups one beside the other, and one below the other. */
  readonly across: number;
  readonly down: number;
}

/** The largest tile that fits into the memory of a group; null where other kernels compute the product. */
export function matrixTileOf(units: MatrixUnits, { n, gradient }: TiledProduct): MatrixTile | null {
  if (gradient === undefined || n < LEAST_COLUMNS || DEPTH % units.k !== 0) return null;
  const columns = n < 64 ? 32 : 64;
  const subgroups = THREADS / units.subgroup;
  for (const rows of [128, 64, 32]) {
    const elements = STRIDE * (rows * partsOf(gradient, 'a') + columns * partsOf(gradient, 'b'));
    if (elements * units.ops.halfBytes + stagingSize(units) * 4 > units.workgroupBytes) continue;
    for (const across of [2, 4, 1, 8]) {
      const down = subgroups / across;
      const isWhole = (columns / units.n) % across === 0 && down >= 1 && (rows / units.m) % down === 0;
      if (isWhole) return { rows, columns, across, down };
    }
  }
  return null;
}

function partsOf(gradient: 'a' | 'b', side: 'a' | 'b'): number {
  return gradient === side ? PARTS : 1;
}

/** Elements of a matrix of C for each subgroup, and at least one for each thread. */
function stagingSize({ m, n, subgroup }: MatrixUnits): number {
  return Math.max(THREADS, (THREADS / subgroup) * m * n);
}

/** The largest magnitudes of 256 parts of a gradient, which keeps them for the next product. */
export function largestMagnitudes(backend: WebgpuBackend, gradient: tf.TensorInfo): tf.TensorInfo {
  const known = keptForm(backend, gradient.dataId, 'magnitudes');
  if (known !== null) return known;
  const largest = allocate(backend, [THREADS]);
  dispatch(backend, {
    label: 'largest magnitudes',
    code: `var<workgroup> magnitudes: array<f32, ${THREADS}>;
@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  var most = 0.0;
  for (var i = wid.x * ${THREADS}u + lid; i < p.size; i += ${THREADS * THREADS}u) { most = max(most, abs(x[i])); }
  magnitudes[lid] = most;
  ${LARGEST_OF('magnitudes')}
  if (lid == 0u) { largest[wid.x] = magnitudes[0]; }
}`,
    inputs: { x: gradient },
    outputs: { largest },
    numbers: { size: ['u32', sizeOf(gradient)] },
    groups: [THREADS, 1, 1],
  });
  keepForm(backend, gradient, 'magnitudes', largest);
  return largest;
}

/** WGSL: the largest of the first 256 elements of a workgroup array becomes its first. */
const LARGEST_OF = (array: string) => `for (var half_way = ${THREADS / 2}u; half_way > 0u; half_way /= 2u) {
    workgroupBarrier();
    if (lid < half_way) { ${array}[lid] = max(${array}[lid], ${array}[lid + half_way]); }
  }
  workgroupBarrier();`;

/** The WGSL of loading slices of one side; `j` counts a thread's elements. */
function sliceOf(side: 'a' | 'b', size: number, { aContiguous, bContiguous, gradient }: TiledProduct) {
  const alongDepth = (side === 'a' ? aContiguous : bContiguous) === 'k';
  const items = count((size * DEPTH) / THREADS);
  const parts = side === gradient ? PARTS : 1;
  const depth = (j: number) => (alongDepth ? `lid % ${DEPTH}u` : `lid / ${size}u + ${(j * THREADS) / size}u`);
  const place = (j: number) => (alongDepth ? `lid / ${DEPTH}u + ${(j * THREADS) / DEPTH}u` : `lid % ${size}u`);
  const first = side === 'a' ? 'first_row' : 'first_column';
  // Along the depth all elements of a thread have one k, along the side all have the same row or column.
  const own = alongDepth ? items : [0];
  const line = (j: number) => `${side}_line${alongDepth ? j : 0}`;
  const at = (j: number) => `(${place(j)}) * ${STRIDE}u + ${depth(j)}`;
  const loadLine = (j: number) =>
    side === 'a'
      ? `  let ${line(j)} = select(vec3<u32>(FAR, 0u, 0u), a_row(${first} + ${place(j)}), ${first} + ${place(j)} < rows);`
      : `  let ${line(j)} = b_column(${first} + ${place(j)});
  let is_${line(j)} = ${first} + ${place(j)} < p.n;`;
  const loadDepth = (k: string) =>
    side === 'a'
      ? `    let ${k}_at = select(vec3<u32>(FAR, 0u, 0u), a_depth(${k}), ${k} < depth_end);`
      : `    let ${k}_at = b_depth(${k});`;
  const load = (j: number, k: string) =>
    side === 'a'
      ? `    next_a${j} = load_a(${line(j)} + ${k}_at);`
      : `    next_b${j} = select(0.0, b[${line(j)} + ${k}_at], (${k} < depth_end) & is_${line(j)});`;
  return {
    declarations: `var<workgroup> tile_${side}: array<half, ${parts * size * STRIDE}>;`,
    prologue: [...own.map(loadLine), ...items.map((j) => `  var next_${side}${j} = 0.0;`)].join('\n'),
    load: items
      .map((j) => {
        const k = `${side}_k${alongDepth ? 0 : j}`;
        const head = alongDepth && j > 0 ? [] : [`    let ${k} = from_depth + ${depth(j)};`, loadDepth(k)];
        return [...head, load(j, k)].join('\n');
      })
      .join('\n'),
    store: items
      .map((j) =>
        parts === 1
          ? `    tile_${side}[${at(j)}] = to_half(next_${side}${j});`
          : `    let ${side}_small${j} = next_${side}${j} * shrink;
    let ${side}_high${j} = to_half(${side}_small${j});
    tile_${side}[${at(j)}] = ${side}_high${j};
    tile_${side}[${at(j)} + ${size * STRIDE}u] = to_half((${side}_small${j} - f32(${side}_high${j})) * ${2 ** LOW_BITS}.0);`,
      )
      .join('\n'),
  };
}

/** WGSL for a product with `gradient`; it also reads `largest`, see `largestMagnitudes`. */
export function matrixShader(
  product: TiledProduct,
  tile: MatrixTile,
  finish: Finish,
  units: MatrixUnits,
): { readonly code: string; readonly directives: string } {
  const { ops } = units;
  const a = sliceOf('a', tile.rows, product);
  const b = sliceOf('b', tile.columns, product);
  return {
    directives: ops.directives,
    code: `
${FAR}
${ops.declarations(units, STRIDE)}
${product.loads}
${finish.code}
${a.declarations}
${b.declarations}
var<workgroup> staging: array<f32, ${stagingSize(units)}>;
${product.classes?.code ?? ''}
fn put(base: u32, m: u32, rows: u32, n: u32, value: f32) {
  if (m >= rows || n >= p.n) { return; }
  let at = base + ${rowOf(product)} * p.n + n;
  c[at] = finish(at, value);
}
@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lid: u32${ops.parameters}) {
  let tile = wid.y * groups.x + wid.x;
  let tiles_across = (p.n + ${tile.columns - 1}u) / ${tile.columns}u;
  let first_row = (tile / tiles_across) * ${tile.rows}u;
  let first_column = (tile % tiles_across) * ${tile.columns}u;
  ${extentOf(product)}
  ${ops.identity(units)}
  staging[lid] = largest[lid];
  ${LARGEST_OF('staging')}
  // The exponent of the largest magnitude becomes 14.
  let exponent = clamp(268u - (bitcast<u32>(staging[0]) >> 23u), 1u, 253u);
  let shrink = bitcast<f32>(exponent << 23u);
  let grow = bitcast<f32>((254u - exponent) << 23u);
  workgroupBarrier();
${a.prologue}
${b.prologue}
${blockOf(tile, units)}
  for (var from_depth = start; ; from_depth += ${DEPTH}u) {
    if (from_depth < depth_end) {
${a.load}
${b.load}
    }
    if (from_depth > start) {
${multiply(product, tile, units)}
    }
    if (from_depth >= depth_end) { break; }
    workgroupBarrier();
${a.store}
${b.store}
    workgroupBarrier();
  }
${write(tile, units)}
}`,
  };
}

/** How many matrices of C a subgroup has below and beside each other. */
function matricesOf({ rows, columns, across, down }: MatrixTile, { m, n }: MatrixUnits) {
  return { below: count(rows / m / down), beside: count(columns / n / across) };
}

function sums(tile: MatrixTile, units: MatrixUnits): { readonly i: number; readonly j: number }[] {
  const { below, beside } = matricesOf(tile, units);
  return below.flatMap((i) => beside.map((j) => ({ i, j })));
}

/** WGSL: where the block of a subgroup begins in the tile, and its sums of high and of low parts. */
function blockOf(tile: MatrixTile, units: MatrixUnits): string {
  return [
    `  let block_row = subgroup / ${tile.across}u * ${tile.rows / tile.down}u;`,
    `  let block_column = subgroup % ${tile.across}u * ${tile.columns / tile.across}u;`,
    ...sums(tile, units).flatMap(({ i, j }) =>
      count(PARTS).map((part) => `  ${units.ops.zero(`sum_${part}_${i}_${j}`)}`),
    ),
  ].join('\n');
}

function multiply({ gradient }: TiledProduct, tile: MatrixTile, units: MatrixUnits): string {
  const { below, beside } = matricesOf(tile, units);
  const { ops } = units;
  const load = (side: 'a' | 'b', k: number, part: number, index: number) => {
    const [size, begin, step] =
      side === 'a' ? [tile.rows, 'block_row', units.m] : [tile.columns, 'block_column', units.n];
    const at = `${part * size * STRIDE + k * units.k}u + (${begin} + ${index * step}u) * ${STRIDE}u`;
    return `      ${ops.load(`${side}_${part}_${k}_${index}`, side, at)}`;
  };
  const parts = (side: 'a' | 'b') => count(side === gradient ? PARTS : 1);
  return count(DEPTH / units.k)
    .flatMap((k) => [
      ...parts('a').flatMap((part) => below.map((i) => load('a', k, part, i))),
      ...parts('b').flatMap((part) => beside.map((j) => load('b', k, part, j))),
      ...sums(tile, units).flatMap(({ i, j }) =>
        count(PARTS).map((part) => {
          const [ofA, ofB] = gradient === 'a' ? [part, 0] : [0, part];
          return `      ${ops.multiplyAdd(`sum_${part}_${i}_${j}`, `a_${ofA}_${k}_${i}`, `b_${ofB}_${k}_${j}`)}`;
        }),
      ),
    ])
    .join('\n');
}

/** Only a subgroup as a whole knows where a matrix has its elements, so each goes through workgroup memory. */
function write(tile: MatrixTile, units: MatrixUnits): string {
  const { m, n, subgroup, ops } = units;
  const own = count((m * n) / subgroup);
  const at = (e: number) => `(lane + ${e * subgroup}u)`;
  const matrices = sums(tile, units).map(
    ({ i, j }) => `  ${ops.store(`sum_0_${i}_${j}`, 'mine')}
  workgroupBarrier();
${own.map((e) => `  let high_${i}_${j}_${e} = staging[mine + ${at(e)}];`).join('\n')}
  workgroupBarrier();
  ${ops.store(`sum_1_${i}_${j}`, 'mine')}
  workgroupBarrier();
${own
  .map((e) => {
    const value = `(high_${i}_${j}_${e} + staging[mine + ${at(e)}] * ${1 / 2 ** LOW_BITS}) * grow`;
    const [row, column] = [`block_row + ${i * m}u + ${at(e)} / ${n}u`, `block_column + ${j * n}u + ${at(e)} % ${n}u`];
    return `  put(base, first_row + ${row}, rows, first_column + ${column}, ${value});`;
  })
  .join('\n')}
  workgroupBarrier();`,
  );
  return [`  let mine = subgroup * ${m * n}u;`, ...matrices].join('\n');
}
