/** Loads the native addon (`bnn_native.node`), and types what it exports. */

import { createRequire } from 'node:module';
import { type Found, found, obstacle } from '../../core/found.ts';
import { loadNativeFile } from '../../core/machine/native-file-io.ts';
import type { OperandKind } from './addon-codes.ts';

/**
 * The functions of the addon. Arrays must have exactly the sizes that the shapes say; a call with others throws a RangeError.
 * No output may overlap an input or another output; those of element-wise functions and optimizer steps may be an input. One row per
 * function of native/node.
 */
export interface NativeAddon {
  isa(): string;
  /** Usable instruction sets, worst first, separated by commas. */
  isas(): string;
  /** Those that this build has kernels for. */
  compiledIsas(): string;
  setIsa(name: string): void;
  /** Whether the instruction set in use has products of bfloat16 that were measured to be faster than those of floats. */
  fasterInBf16(): boolean;
  threads(): number;
  setThreads(count: number): void;
  /** Starts the threads that are set; returns how many there are, fewer where the system allows no more. Results have the same bits. */
  startThreads(): number;
  /** Bytes from the start of the buffer to its first multiple of 64. */
  align(buffer: ArrayBuffer): number;
  /** Gflop/s of multiply-adds in registers on all threads; takes some milliseconds. */
  multiplyAddPeak(): number;
  scratchBytes(): number;
  releaseScratch(): void;

  /** `shape`: the fields of Conv2dShape in native/kernels/conv2d/conv2d.h. */
  conv2d(x: Float32Array, filter: Float32Array, y: Float32Array, shape: Int32Array): void;
  conv2dInputGrad(dy: Float32Array, filter: Float32Array, dx: Float32Array, shape: Int32Array): void;
  conv2dFilterGrad(x: Float32Array, dy: Float32Array, dfilter: Float32Array, shape: Int32Array): void;
  /** The same of sign(x), without groups. */
  binaryConv2d(x: Float32Array, filter: Float32Array, y: Float32Array, shape: Int32Array): void;
  /** dx times the slope of ReSTE(o, t, m) at x; with o = 0 that of the straight-through estimator clipped at t. `sum` is added. */
  binaryConv2dInputGrad(
    dy: Float32Array,
    filter: Float32Array,
    x: Float32Array,
    dx: Float32Array,
    shape: Int32Array,
    sum: Float32Array | null,
    o: number,
    t: number,
    m: number,
  ): void;
  /** The same with the slope of `signGradTable`. */
  binaryConv2dInputGradTable(
    dy: Float32Array,
    filter: Float32Array,
    x: Float32Array,
    dx: Float32Array,
    shape: Int32Array,
    sum: Float32Array | null,
    pieces: Float32Array,
    limit: number,
  ): void;
  binaryConv2dFilterGrad(x: Float32Array, dy: Float32Array, dfilter: Float32Array, shape: Int32Array): void;
  /** `sizes`: batch of a, batch of b, m, n, k, transpose a, transpose b. */
  matmul(a: Float32Array, b: Float32Array, c: Float32Array, sizes: Int32Array): void;

  binary(
    op: number,
    a: Float32Array,
    aKind: OperandKind,
    b: Float32Array,
    bKind: OperandKind,
    y: Float32Array,
    rows: number,
    length: number,
  ): void;
  unary(op: number, x: Float32Array, alpha: number, y: Float32Array): void;
  clip(x: Float32Array, low: number, high: number, y: Float32Array): void;
  /** dy where low < y < high, 0 elsewhere; an infinite limit is none. */
  clipGrad(y: Float32Array, dy: Float32Array, low: number, high: number, dx: Float32Array): void;
  signGradSte(x: Float32Array, dy: Float32Array, clip: number, dx: Float32Array): void;
  /** `pieces`: pairs (value, rise) over [0, limit]; both the limit and pieces / limit are finite. */
  signGradTable(x: Float32Array, dy: Float32Array, pieces: Float32Array, limit: number, dx: Float32Array): void;
  /** Returns the sum of dy · ∂f/∂α; α from 1e-37 to 1 − 1e-15. */
  signGradDsq(x: Float32Array, dy: Float32Array, alpha: number, dx: Float32Array): number;
  signGradReste(x: Float32Array, dy: Float32Array, o: number, t: number, m: number, dx: Float32Array): void;
  sgdMomentum(
    param: Float32Array,
    grad: Float32Array,
    velocity: Float32Array,
    newParam: Float32Array,
    newVelocity: Float32Array,
    lr: number,
    momentum: number,
    weightDecay: number,
  ): void;
  adam(
    param: Float32Array,
    grad: Float32Array,
    m: Float32Array,
    v: Float32Array,
    newParam: Float32Array,
    newM: Float32Array,
    newV: Float32Array,
    lr: number,
    beta1: number,
    beta2: number,
    epsilon: number,
    weightDecay: number,
    step: number,
    decoupled: boolean,
  ): void;

  /** `scale` is one factor of x for all channels or one for each, as is its gradient; `residual` is added to y. */
  batchNormTrain(
    x: Float32Array,
    scale: Float32Array | null,
    gamma: Float32Array,
    beta: Float32Array,
    y: Float32Array,
    mean: Float32Array,
    variance: Float32Array,
    epsilon: number,
    relu: boolean,
    residual: Float32Array | null,
  ): void;
  batchNormInfer(
    x: Float32Array,
    scale: Float32Array | null,
    gamma: Float32Array,
    beta: Float32Array,
    mean: Float32Array,
    variance: Float32Array,
    y: Float32Array,
    epsilon: number,
    relu: boolean,
    residual: Float32Array | null,
  ): void;
  batchNormGrad(
    x: Float32Array,
    dy: Float32Array,
    scale: Float32Array | null,
    gamma: Float32Array,
    mean: Float32Array,
    variance: Float32Array,
    dx: Float32Array,
    dgamma: Float32Array,
    dbeta: Float32Array,
    dscale: Float32Array | null,
    epsilon: number,
    relu: boolean,
  ): void;
  batchNormMoments(
    x: Float32Array,
    scale: Float32Array | null,
    mean: Float32Array,
    variance: Float32Array,
    relu: boolean,
  ): void;
  batchNormGradSums(
    x: Float32Array,
    dy: Float32Array,
    scale: Float32Array | null,
    mean: Float32Array,
    variance: Float32Array,
    dgamma: Float32Array,
    dbeta: Float32Array,
    epsilon: number,
    relu: boolean,
  ): void;
  batchNormGradApply(
    x: Float32Array,
    dy: Float32Array,
    scale: Float32Array | null,
    gamma: Float32Array,
    mean: Float32Array,
    variance: Float32Array,
    meanDgamma: Float32Array,
    meanDbeta: Float32Array,
    dx: Float32Array,
    dscale: Float32Array | null,
    epsilon: number,
    relu: boolean,
  ): void;
  /** keep · average + take · now, rounded after each operation. */
  moveAverage(average: Float32Array, now: Float32Array, keep: number, take: number, moved: Float32Array): void;
  /** Σ over the middle of [outer][middle][inner], in double precision across blocks, divided. */
  sumMiddle(x: Float32Array, sums: Float32Array, outer: number, inner: number, divisor: number): void;

  /** `shape`: the fields of PoolShape in native/kernels/pooling/pooling.h. */
  maxPool(x: Float32Array, y: Float32Array, shape: Int32Array): void;
  avgPool(x: Float32Array, y: Float32Array, shape: Int32Array): void;
  maxPoolGrad(x: Float32Array, dy: Float32Array, dx: Float32Array, shape: Int32Array): void;
  avgPoolGrad(dy: Float32Array, dx: Float32Array, shape: Int32Array): void;
  /** `plan`: size × 4, from-stride × 4, to-stride × 4, from-offset, to-offset, in elements. */
  stridedCopy(from: Float32Array, to: Float32Array, plan: Int32Array): void;
  fill(to: Float32Array, value: number): void;
}

/** An argument of a recorded call; `number` and `input` are places in what a run is given. */
export type RecordedArgument =
  | number
  | boolean
  | null
  | Float32Array
  | Int32Array
  | { readonly number: number }
  | { readonly input: number; readonly length: number };
export type RecordedCall = readonly [name: string, ...args: RecordedArgument[]];
/** What the addon keeps of recorded calls. */
export type NativeProgram = object & { readonly __program: unique symbol };
type Span = [
  program: NativeProgram,
  begin: number,
  end: number,
  numbers: readonly number[],
  inputs: readonly Float32Array[],
  /** How long each call took, in milliseconds. */
  times: Float64Array | null,
];

/** Makes many calls of functions without results at once. */
export interface ProgramAddon extends NativeAddon {
  /** Arrays of floats are used where they lie. */
  createProgram(calls: readonly RecordedCall[]): NativeProgram;
  /** Makes the calls from `begin` to before `end`. */
  callProgram(...span: Span): void;
  /** The same on another thread; until then its arrays are nobody else's. */
  runProgram(...span: Span): Promise<void>;
}

let loaded: Found<ProgramAddon> | undefined;
let origin = '';

/** Loads the addon once per process; a failure is returned, not thrown, with what to do about it. */
export function loadNativeAddon(): Found<ProgramAddon> {
  loaded ??= load();
  return loaded;
}

/** Where the addon is from: `built here`, or the package that it is prebuilt in; empty before it was loaded. */
export function addonOrigin(): string {
  return origin;
}

function load(): Found<ProgramAddon> {
  const result = loadNativeFile('training', ({ path }) => createRequire(import.meta.url)(path) as ProgramAddon);
  if (result.ok) {
    origin = result.value.file.origin;
    return found(result.value.value);
  }
  if (!result.reason.includes('BNN_KERNEL')) return result;
  return obstacle(result.reason, 'unset BNN_KERNEL; bnn doctor lists the kernels that this processor has');
}

/** The kernels and where they are from, for `bnn doctor`. */
export function describeAddon(addon: NativeAddon): string {
  const usable = addon.isas().split(',');
  const missing = addon
    .compiledIsas()
    .split(',')
    .filter((isa) => !usable.includes(isa));
  const unusable = missing.length === 0 ? '' : `; not supported by this processor: ${missing.join(', ')}`;
  return `kernels ${addon.isa()} in use, available: ${usable.join(', ')}${unusable}; ${origin}`;
}

/** The same of what there is here. */
export function inspectNative(): Found<string> {
  const result = loadNativeAddon();
  return result.ok ? found(describeAddon(result.value)) : result;
}
