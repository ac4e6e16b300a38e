/** What a tiled product is given, and what its kernels have in common. */

import type * as tf from '@tensorflow/tfjs-core';
import type { Numbers } from '../dispatch.ts';

/** Of a group. */
export const THREADS = 256;
/** Of a slice of A and B in workgroup memory. */
export const DEPTH = 16;
/** At or beyond it, a row or a depth does not count. */
export const FAR = 'const FAR = 0x40000000u;';

export interface TiledProduct {
  readonly label: string;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: tf.TensorInfo;
  readonly b: tf.TensorInfo;
  /** Of the array `a`; f32 unless told. */
  readonly aElement?: 'u32';
  /**
   * WGSL of A and B:
   *
   * - `fn a_row(m: u32) -> vec3<u32>` and `fn a_depth(k: u32) -> vec3<u32>`, whose sum `at` goes to
   *   `fn load_a(at: vec3<u32>) -> f32`, which returns 0 where at.x is `FAR` or more;
   * - `fn b_column(n: u32) -> u32` and `fn b_depth(k: u32) -> u32`, whose sum is an index into the array `b`.
   */
  readonly loads: string;
  /** Along which index neighbouring elements of A and B lie side by side in memory. */
  readonly aContiguous: 'm' | 'k';
  readonly bContiguous: 'k' | 'n';
  readonly shape: readonly number[];
  /** Which operand is a gradient, where the other consists of ±1 and 0: such products matrix units compute in halves (`matrix-product.ts`). */
  readonly gradient?: 'a' | 'b' | undefined;
  /** What is written in place of the sum. */
  readonly finish?: Finish | undefined;
  /** Where rows come in classes that each have a sum of their own length. */
  readonly classes?: RowClasses | undefined;
}

/** Rows of C in classes; `m` and `k` are those of the largest. */
export interface RowClasses {
  readonly count: number;
  /**
   * WGSL `fn choose(class_number: u32)`, called first, `fn class_rows() -> u32` and `fn class_depth(class_number: u32) -> u32`, the class's m
   * and k, and `fn class_place(m: u32) -> u32`, which row of C is the m-th of the class.
   */
  readonly code: string;
  readonly multiplyAdds: number;
}

export interface Finish {
  readonly inputs: Readonly<Record<string, tf.TensorInfo>>;
  readonly numbers: Numbers;
  /** WGSL `fn finish(i: u32, sum: f32) -> f32`, i being an index into C. */
  readonly code: string;
}

/** WGSL: of which rows and which part of the depth a group of threads computes. */
const WHOLE = `let rows = p.m;
  let start = wid.z * p.chunk;
  let depth_end = min(p.k, start + p.chunk);
  let base = wid.z * p.m * p.n;`;
const OF_CLASS = `choose(wid.z);
  let rows = class_rows();
  let start = 0u;
  let depth_end = class_depth(wid.z);
  let base = 0u;`;

export function extentOf({ classes }: TiledProduct): string {
  return classes === undefined ? WHOLE : OF_CLASS;
}

/** WGSL: the row of C that is the m-th of those that a group computes. */
export function rowOf({ classes }: TiledProduct): string {
  return classes === undefined ? 'm' : 'class_place(m)';
}

export function count(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}
