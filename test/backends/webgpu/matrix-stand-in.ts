/** Matrix units in plain WGSL, for devices that have none: the same kernels, except for what multiplies two small matrices. */

import type { MatrixOps } from '../../../src/backends/webgpu/kernels/matrix-ops.ts';
import type { MatrixUnits } from '../../../src/backends/webgpu/matrix-units.ts';

/** A thread has every `subgroup`th element of a sum. Numbers are rounded to float16, and lie in float32. */
const STAND_IN: MatrixOps = {
  directives: '',
  halfBytes: 4,
  declarations: ({ m, n, k, subgroup }, stride) => `alias half = f32;
fn to_half(x: f32) -> half { return unpack2x16float(pack2x16float(vec2<f32>(x, 0.0))).x; }
const STRIDE = ${stride}u;
const N_OF_C = ${n}u;
const K_OF_A = ${k}u;
const THREADS = ${subgroup}u;
const OWN = ${(m * n) / subgroup}u;`,
  parameters: '',
  identity: () => 'let subgroup = lid / THREADS; let lane = lid % THREADS;',
  zero: (name) => `var ${name} = array<f32, OWN>();`,
  load: (name, _, at) => `let ${name} = ${at};`,
  multiplyAdd: (sum, a, b) => `for (var e = 0u; e < OWN; e++) {
        let element = lane + e * THREADS;
        for (var k = 0u; k < K_OF_A; k++) {
          ${sum}[e] += tile_a[${a} + element / N_OF_C * STRIDE + k] * tile_b[${b} + element % N_OF_C * STRIDE + k];
        }
      }`,
  store: (sum, at) => `for (var e = 0u; e < OWN; e++) { staging[${at} + lane + e * THREADS] = ${sum}[e]; }`,
};

export function standIn(m: number, n: number, k: number, subgroup: number): MatrixUnits {
  return { m, n, k, subgroup, workgroupBytes: 32768, ops: STAND_IN };
}
