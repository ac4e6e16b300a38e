/**
 * Folds constant expressions in float64, as the compiler does, with the operators that only foreign models use for constants.
 * Expressions of a latent weight (of one that also goes through a sign) stay when the compiler can fold them later, so that a
 * scaling factor such as mean|W| stays trainable.
 */

import type { CompileContext } from '../compiler/context.ts';
import { EVALUATORS, type Evaluator, reduction } from '../compiler/evaluate.ts';
import { type Exact, exactOf, isInteger } from '../compiler/exact.ts';
import type { Pass } from '../compiler/pass.ts';
import { removeDead } from '../compiler/rewrite.ts';
import { broadcastShapes, elementCount, MAX_RANK, normalizeAxis, rowMajorStrides } from '../core/shape.ts';
import type { Dtype } from '../core/tensor.ts';
import { int64s } from '../core/tensor.ts';
import type { Node, Value } from '../graph/graph.ts';
import { factsOf, operatorsWith } from '../operators/operator-facts.ts';

/** Applies a function of numbers to tensors that broadcast. */
function broadcast(
  inputs: readonly Exact[],
  dtype: Dtype,
  maxElements: number,
  f: (...x: number[]) => number,
): Exact | null {
  let shape: readonly number[] | undefined = [];
  for (const input of inputs) shape = shape === undefined ? undefined : broadcastShapes(shape, input.shape);
  if (shape === undefined || elementCount(shape) > maxElements) return null;
  const target = shape;
  const steps = inputs.map((input) => {
    const strides = rowMajorStrides(input.shape);
    const lead = target.length - input.shape.length;
    return target.map((_, axis) => (axis < lead || input.shape[axis - lead] === 1 ? 0 : (strides[axis - lead] ?? 0)));
  });
  const data = new Float64Array(elementCount(target));
  const at = inputs.map(() => 0);
  const coordinates = target.map(() => 0);
  for (let i = 0; i < data.length; i++) {
    data[i] = f(...inputs.map((input, k) => input.data[at[k] ?? 0] ?? Number.NaN));
    for (let axis = target.length - 1; axis >= 0; axis--) {
      const next = (coordinates[axis] ?? 0) + 1;
      const wraps = next === target[axis];
      coordinates[axis] = wraps ? 0 : next;
      for (const [k, step] of steps.entries()) {
        at[k] = (at[k] ?? 0) + (step[axis] ?? 0) * (wraps ? 1 - next : 1);
      }
      if (!wraps) break;
    }
  }
  return { dtype, shape: target, data, fromSign: inputs.some(({ fromSign }) => fromSign) };
}

const onNumbers: Evaluator = (inputs, node, maxElements) => {
  const [a, b] = inputs;
  if (a === undefined) return null;
  const { scalar, elementwise, isPredicate } = factsOf(node);
  if (scalar === undefined) return null;
  const dtype = isPredicate === true ? 'bool' : a.dtype;
  const finish = isInteger(dtype) ? Math.trunc : (x: number) => x;
  if (elementwise === 'one')
    return inputs.length === 1 ? { ...a, dtype, data: a.data.map((x) => finish(scalar(x))) } : null;
  if (b === undefined || inputs.length !== 2) return null;
  return broadcast(inputs, dtype, maxElements, (x = Number.NaN, y = Number.NaN) => finish(scalar(x, y)));
};

/** Of unsigned integers, as graphs unpack bits with them. */
const bitShift: Evaluator = (inputs, node, maxElements) => {
  const [x] = inputs;
  const bits = x?.dtype === 'uint8' ? 8 : x?.dtype === 'uint16' ? 16 : x?.dtype === 'uint32' ? 32 : null;
  if (x === undefined || bits === null || inputs.length !== 2) return null;
  const isRight = node.string('direction', '') === 'RIGHT';
  return broadcast(inputs, x.dtype, maxElements, (a = 0, b = 0) =>
    isRight ? Math.floor(a / 2 ** b) : (a * 2 ** b) % 2 ** bits,
  );
};

/** The result has the sign of the divisor, with `fmod` that of the dividend. */
const modulo: Evaluator = (inputs, node, maxElements) => {
  const [x] = inputs;
  if (x === undefined || inputs.length !== 2) return null;
  const isFmod = node.int('fmod', 0) === 1;
  return broadcast(inputs, x.dtype, maxElements, (a = 0, b = Number.NaN) =>
    isFmod ? a % b : a - b * Math.floor(a / b),
  );
};

const where: Evaluator = (inputs, _, maxElements) => {
  const [, yes] = inputs;
  return inputs.length !== 3 || yes === undefined
    ? null
    : broadcast(inputs, yes.dtype, maxElements, (c = 0, a = Number.NaN, b = Number.NaN) => (c === 0 ? b : a));
};

const expand: Evaluator = ([x, target], _, maxElements) => {
  const shape = target === undefined ? null : sizesOf(target, maxElements);
  if (x === undefined || shape === null) return null;
  const like = { dtype: x.dtype, shape, data: new Float64Array(elementCount(shape)), fromSign: false };
  return broadcast([x, like], x.dtype, maxElements, (a = Number.NaN) => a);
};

/** The numbers of a tensor as a shape; null when they are none, or one of too many elements. */
function sizesOf({ data }: Exact, maxElements: number): number[] | null {
  if (data.length > MAX_RANK || !data.every((size) => Number.isSafeInteger(size) && size >= 0)) return null;
  const sizes = [...data];
  return elementCount(sizes) > maxElements ? null : sizes;
}

const constantOfShape: Evaluator = ([shape], node, maxElements) => {
  const sizes = shape === undefined ? null : sizesOf(shape, maxElements);
  if (sizes === null) return null;
  const fill = node.attribute('value', 'tensor');
  const value = fill === undefined ? null : exactOf(fill);
  if (fill !== undefined && value === null) return null;
  const data = new Float64Array(elementCount(sizes)).fill(value?.data[0] ?? 0);
  return { dtype: value?.dtype ?? 'float32', shape: sizes, data, fromSign: false };
};

/** One pass per axis: what shape arithmetic and computed pads need is small. */
const slice: Evaluator = ([x, starts, ends, axes, steps]) => {
  if (x === undefined || starts === undefined || ends === undefined) return null;
  let result: Exact = x;
  if (starts.data.length > x.shape.length) return null;
  for (const [i, first] of starts.data.entries()) {
    const axis = normalizeAxis(axes?.data[i] ?? i, x.shape.length);
    const [end, step] = [ends.data[i], steps?.data[i] ?? 1];
    if (axis === undefined || end === undefined || step === 0) return null;
    result = sliceAxis(result, axis, first, end, step);
  }
  return result;
};

/** Bounds beyond the tensor are clamped to it, as in NumPy. */
function sliceAxis(x: Exact, axis: number, start: number, end: number, step: number): Exact {
  const size = x.shape[axis] ?? 1;
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
  const clamp = (position: number): number => Math.min(Math.max(position < 0 ? position + size : position, low), high);
  const begin = clamp(start);
  const count = Math.max(0, Math.ceil((clamp(end) - begin) / step));
  const shape = x.shape.map((dim, i) => (i === axis ? count : dim));
  const inner = elementCount(x.shape.slice(axis + 1));
  const data = new Float64Array(elementCount(shape));
  for (let i = 0; i < data.length; i++) {
    const index = begin + (Math.floor(i / inner) % count) * step;
    const outer = Math.floor(i / (inner * count));
    data[i] = x.data[(outer * size + index) * inner + (i % inner)] ?? Number.NaN;
  }
  return { ...x, shape, data };
}

const flatten: Evaluator = ([x], node) => {
  if (x === undefined) return null;
  const axis = node.int('axis', 1);
  const at = axis === x.shape.length ? axis : normalizeAxis(axis, x.shape.length);
  if (at === undefined) return null;
  return { ...x, shape: [elementCount(x.shape.slice(0, at)), elementCount(x.shape.slice(at))] };
};

const sum = (a: number, b: number): number => a + b;

/** Of which scaling factors are computed, beside ReduceMean. */
const REDUCTIONS: readonly (readonly [string, Evaluator])[] = [
  ['ReduceL1', reduction(0, (total, x) => total + Math.abs(x))],
  ['ReduceL2', reduction(0, (total, x) => total + x * x, Math.sqrt)],
  ['ReduceMax', reduction(-Infinity, Math.max)],
  ['ReduceMin', reduction(Infinity, Math.min)],
  ['ReduceProd', reduction(1, (a, b) => a * b)],
  ['ReduceSum', reduction(0, sum)],
  ['ReduceSumSquare', reduction(0, (total, x) => total + x * x)],
];

/** (x − zero) · scale, with one scale or one per index along `axis`. */
const dequantize: Evaluator = ([x, scale, zero], node) => {
  if (x === undefined || scale === undefined || scale.shape.length > 1 || node.int('block_size', 0) !== 0) return null;
  const axis = normalizeAxis(node.int('axis', 1), x.shape.length) ?? 0;
  const inner = elementCount(x.shape.slice(axis + 1));
  const count = scale.data.length;
  if (count !== 1 && count !== x.shape[axis]) return null;
  const data = x.data.map((value, i) => {
    const at = count === 1 ? 0 : Math.floor(i / inner) % count;
    return (value - (zero?.data[at] ?? 0)) * (scale.data[at] ?? 0);
  });
  return { dtype: scale.dtype, shape: x.shape, data, fromSign: x.fromSign };
};

const shapeOf: Evaluator = ([x], node) => {
  if (x === undefined) return null;
  return exactOf(int64s(x.shape.slice(node.int('start', 0), node.attribute('end', 'int'))));
};

const OWN: ReadonlyMap<string, Evaluator> = new Map<string, Evaluator>([
  ...operatorsWith(({ scalar }) => scalar !== undefined)
    .filter((op) => op !== 'Cast')
    .map((op): [string, Evaluator] => [op, onNumbers]),
  ['BitShift', bitShift],
  ['Mod', modulo],
  ['Where', where],
  [
    'Clip',
    ([x, low, high]) =>
      x === undefined
        ? null
        : {
            ...x,
            data: x.data.map((v) => Math.min(high?.data[0] ?? Infinity, Math.max(low?.data[0] ?? -Infinity, v))),
          },
  ],
  ['DequantizeLinear', dequantize],
  ['Expand', expand],
  ['ConstantOfShape', constantOfShape],
  ['Slice', slice],
  ['Flatten', flatten],
  ...REDUCTIONS,
  ['Shape', shapeOf],
]);

/** Deeper expressions are folded, since looking through one may take twice as long for each level. */
const MAX_KEPT_DEPTH = 12;

/** True for a constant that also goes through a sign. */
function isLatent(value: Value): boolean {
  return value.dtype === 'float32' && value.uses.some(({ node }) => node.is('Sign', 'bnn') || node.is('Sign'));
}

class Folder {
  readonly #context: CompileContext;
  readonly #foldsTernary: boolean;
  /** Levels of operators above latent weights, for nodes that are kept. */
  readonly #depths = new Map<Node, number>();

  constructor(context: CompileContext, foldsTernary: boolean) {
    this.#context = context;
    this.#foldsTernary = foldsTernary;
  }

  /** What to replace the node by; null when it stays. */
  fold(node: Node): Exact | null {
    if (node.outputs.length !== 1) return null;
    if (node.is('Shape') && node.requiredInput(0).constant === null) return fixedShape(node);
    const isSign = node.is('Sign', 'bnn') || (node.is('Sign') && !this.#foldsTernary);
    const ours = OWN.get(node.type);
    const theirs = EVALUATORS.get(node.type);
    if (!isSign && (ours ?? theirs) === undefined) return null;
    const depth = this.#depthOf(node);
    if (depth === null) return null;
    const isKept = isSign || (theirs !== undefined && depth > 0 && depth < MAX_KEPT_DEPTH);
    if (isKept) {
      this.#depths.set(node, Math.max(1, depth));
      return null;
    }
    const inputs: Exact[] = [];
    for (const [i, input] of node.inputs.entries()) {
      const isBound = node.is('Slice') && (i === 1 || i === 2);
      const exact = input === null ? null : ((isBound ? boundOf(input) : null) ?? this.#context.evaluate(input));
      if (exact === null) return null;
      inputs.push(exact);
    }
    const evaluate: Evaluator = (...given) => theirs?.(...given) ?? ours?.(...given) ?? null;
    return this.#context.foldNode(node, inputs, evaluate);
  }

  /** 0 when nothing latent takes part, null when an input is not constant. */
  #depthOf(node: Node): number | null {
    let depth = 0;
    for (const input of node.inputs) {
      if (input === null) continue;
      if (input.constant !== null) {
        if (isLatent(input)) depth = Math.max(depth, 1);
        continue;
      }
      const below = input.producer === null ? undefined : this.#depths.get(input.producer);
      if (below === undefined) return null;
      depth = Math.max(depth, below + 1);
    }
    return depth;
  }
}

/** "To the end" is written as the largest integer, or the smallest, which float64 does not hold. */
function boundOf({ constant }: Value): Exact | null {
  if (!(constant?.data instanceof BigInt64Array)) return null;
  const most = Number.MAX_SAFE_INTEGER;
  const data = Float64Array.from(constant.data, (bound) => Math.min(Math.max(Number(bound), -most), most));
  return { dtype: 'int64', shape: constant.shape, data, fromSign: false };
}

function fixedShape(node: Node): Exact | null {
  const sizes = node.requiredInput(0).shape?.slice(node.int('start', 0), node.attribute('end', 'int'));
  return sizes?.every((size) => typeof size === 'number') === true ? exactOf(int64s(sizes)) : null;
}

function foldAll(context: CompileContext, foldsTernary: boolean): boolean {
  const { graph } = context;
  const folder = new Folder(context, foldsTernary);
  let changed = false;
  for (const node of graph.nodes()) {
    if (node.outputs.some((output) => graph.isOutput(output))) continue;
    const exact = folder.fold(node);
    if (exact === null || (isDtypeFloat(exact) && !exact.data.every(Number.isFinite))) continue;
    const folded = context.addExact(node.output.name, exact, node);
    graph.replaceAllUses(node.output, folded);
    removeDead(graph, node);
    changed = true;
  }
  return changed;
}

export const FOLD_FOREIGN_CONSTANTS: Pass = {
  name: 'fold-foreign-constants',
  doc: 'Replaces operators on constants by their result; keeps signs and expressions of latent weights.',
  rewrites: [],
  run: (_, context) => ({ changed: foldAll(context, false) }),
};

export const FOLD_TERNARY: Pass = {
  name: 'fold-ternary',
  doc: 'The same, including the standard Sign of weights that hold zeros: those layers stay ternary.',
  rewrites: [],
  run: (_, context) => ({ changed: foldAll(context, true) }),
};

function isDtypeFloat({ dtype }: Exact): boolean {
  return dtype === 'float32' || dtype === 'float64';
}
