/** Dense layers with binary weights in any orientation become `Gemm(x, W)`, the form that the compiler packs. */

import { int64s, scalar } from '../../core/tensor.ts';
import { type Attributes, float, int, ints } from '../../graph/attribute.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { addOp } from '../../rewriting/add-op.ts';
import type { RewriteContext } from '../../rewriting/context.ts';
import { binaryWeightsOf } from '../../rewriting/layers/binary-weights.ts';
import { channelVector } from '../../rewriting/layers/channel-vector.ts';
import { isMiss, type Miss, miss } from '../../rewriting/miss.ts';
import { defineRewrite } from '../../rewriting/rewrite.ts';
import { BROADCASTING, UNARY } from '../elementwise.ts';

const SWAP: Attributes = { perm: ints([1, 0]) };

/** The value furthest up that has the same sizes but the last, so that nothing between is kept for its shape alone. */
function outerLike(x: Value, context: RewriteContext): Value {
  const next = (node: Node): Value | null => {
    const data = node.inputs.filter((input) => input !== null && !context.isConstantExpression(input));
    const [first = null] = data;
    if (data.length !== 1 || first === null) return null;
    if (UNARY.includes(node.type)) return first;
    if (node.is('MatMul')) return first === node.input(0) && node.input(1)?.shape?.length === 2 ? first : null;
    if (!BROADCASTING.includes(node.type)) return null;
    const rank = first.shape?.length ?? 0;
    const isKept = node.inputs.every(
      (input) =>
        input === first ||
        ((input?.shape?.length ?? rank) <= rank && input?.shape?.slice(0, -1).every((size) => size === 1) === true),
    );
    return isKept ? first : null;
  };
  let value = x;
  for (let node = value.producer; node !== null; node = value.producer) {
    const shape = node.is('Reshape') ? node.requiredInput(1).producer : null;
    const open = shape?.is('Concat') === true && shape.inputs.length === 2 ? shape.requiredInput(0).producer : null;
    const isOurs = open?.is('Shape') === true && open.int('start', 0) === 0 && open.int('end', 0) === -1;
    const above = isOurs ? open.requiredInput(0) : next(node);
    if (above === null || above.shape?.length !== value.shape?.length) break;
    value = above;
  }
  return value;
}

export const FLATTEN_MATMUL = defineRewrite({
  name: 'flatten-matmul',
  doc: {
    before: 'MatMul(x, W), x of rank 3 or more, or a vector',
    after: 'Reshape(Gemm(Reshape(x), W))',
    requires: 'binary W of rank 2; x of known rank',
    exactness: 'bit-exact',
  },
  roots: ['MatMul'],
  match: (root, context) => {
    const [x, w] = [root.requiredInput(0), root.requiredInput(1)];
    if (x.shape === null || x.shape.length === 2 || w.shape?.length !== 2)
      return miss(root, 'its data are neither a vector nor a stack of matrices');
    const found = binaryWeightsOf(w, root, true, true, context);
    if (isMiss(found)) return found;
    const [rows, columns] = found.weights.shape;
    if (rows === undefined || columns === undefined) return miss(root, 'its weight is no matrix');
    return { x, w, rows, columns, outer: x.shape.slice(0, -1) };
  },
  apply: (root, { x, w, rows, columns, outer }, context) => {
    const { graph } = context;
    const shape = (sizes: readonly number[]) => graph.addConstant(`${root.output.name}.shape`, int64s(sizes));
    const matrix = addOp(graph, 'Reshape', [x, shape([-1, rows])], root);
    const y = addOp(graph, 'Gemm', [matrix, w], root, { name: root.name });
    context.layers.move(root, y.producer);
    const sizes = outer.map((size) => (typeof size === 'number' ? size : -1));
    if (sizes.filter((size) => size < 0).length <= 1) {
      return addOp(graph, 'Reshape', [y, shape([...sizes, columns])], root);
    }
    const attributes: Attributes = { start: int(0), end: int(-1) };
    const open = addOp(graph, 'Shape', [outerLike(x, context)], root, { attributes });
    const target = addOp(graph, 'Concat', [open, shape([columns])], root, { attributes: { axis: int(0) } });
    const result = addOp(graph, 'Reshape', [y, target], root);
    result.shape = [...outer, columns];
    return result;
  },
});

interface Swapped {
  readonly weight: Value;
  readonly data: Value;
  /** Whether the transposed weight is what the file has. */
  readonly weightTransposed: boolean;
  readonly dataTransposed: boolean;
}

/** W · x with constant W on the left. */
function leftWeight(root: Node, context: RewriteContext): Swapped | Miss {
  const [w, x] = [root.requiredInput(0), root.requiredInput(1)];
  if (!context.isConstantExpression(w) || context.isConstantExpression(x))
    return miss(root, 'its left operand is not its weight');
  if (w.shape?.length !== 2 || x.shape?.length !== 2) return miss(root, 'its operands are not known to be matrices');
  const isGemm = root.is('Gemm');
  const weightTransposed = isGemm && root.int('transA', 0) === 1;
  const found = binaryWeightsOf(w, root, true, weightTransposed, context);
  if (isMiss(found)) return found;
  return { weight: w, data: x, weightTransposed, dataTransposed: isGemm && root.int('transB', 0) === 1 };
}

export const SWAP_OPERANDS = defineRewrite({
  name: 'swap-operands',
  doc: {
    before: 'MatMul(W, x) or Gemm(W, x, C)',
    after: 'Transpose(Gemm(Transpose(x), W, transB = 1)) + C',
    requires: 'both matrices; binary W',
    exactness: 'bit-exact',
  },
  roots: ['MatMul', 'Gemm'],
  match: leftWeight,
  apply: (root, { weight, data, weightTransposed, dataTransposed }, context) => {
    const { graph } = context;
    const rows = dataTransposed ? data : addOp(graph, 'Transpose', [data], root, { attributes: SWAP });
    const attributes: Attributes = {
      transB: int(weightTransposed ? 0 : 1),
      ...(root.is('Gemm') ? { alpha: float(root.float('alpha', 1)) } : {}),
    };
    const product = addOp(graph, 'Gemm', [rows, weight], root, { attributes, name: root.name });
    context.layers.move(root, product.producer);
    const y = addOp(graph, 'Transpose', [product], root, { attributes: SWAP });
    const added = root.is('Gemm') ? root.input(2) : null;
    if (added === null) return y;
    const beta = root.float('beta', 1);
    const shape: readonly number[] = [];
    const factor = context.addExact(
      `${root.output.name}.beta`,
      { dtype: 'float32', shape, data: Float64Array.of(beta) },
      root,
    );
    return addOp(graph, 'Add', [y, beta === 1 ? added : addOp(graph, 'Mul', [added, factor], root)], root);
  },
});

/** The order of axes that swaps the last two of so many. */
function swapLast(rank: number): Attributes {
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  return { perm: ints([...axes.slice(0, -2), rank - 1, rank - 2]) };
}

export const SWAP_STACK = defineRewrite({
  name: 'swap-stack',
  doc: {
    before: 'MatMul(W, x), x of rank 3 or more',
    after: 'Transpose(MatMul(Transpose(x), Transpose(W)))',
    requires: 'binary W of rank 2',
    exactness: 'bit-exact',
  },
  roots: ['MatMul'],
  match: (root, context) => {
    const [w, x] = [root.requiredInput(0), root.requiredInput(1)];
    if (!context.isConstantExpression(w) || context.isConstantExpression(x))
      return miss(root, 'its left operand is not its weight');
    const rank = x.shape?.length ?? 0;
    if (w.shape?.length !== 2 || rank < 3) return miss(root, 'its data are no stack of matrices');
    const found = binaryWeightsOf(w, root, true, false, context);
    return isMiss(found) ? found : { w, x, rank };
  },
  apply: (root, { w, x, rank }, context) => {
    const { graph } = context;
    const rows = addOp(graph, 'Transpose', [x], root, { attributes: swapLast(rank) });
    const weight = addOp(graph, 'Transpose', [w], root, { attributes: SWAP });
    const y = addOp(graph, 'MatMul', [rows, weight], root, { name: root.name });
    context.layers.move(root, y.producer);
    return addOp(graph, 'Transpose', [y], root, { attributes: swapLast(rank) });
  },
});

export const SQUEEZE_WEIGHT = defineRewrite({
  name: 'squeeze-weight',
  doc: {
    before: 'MatMul(x, W[1, …, K, N])',
    after: 'MatMul(x, Reshape(W, [K, N]))',
    requires: 'constant W of no higher rank than x; the other sizes 1',
    exactness: 'bit-exact',
  },
  roots: ['MatMul'],
  match: (root, context) => {
    const [x, w] = [root.requiredInput(0), root.requiredInput(1)];
    const sizes = w.shape?.slice(-2) ?? [];
    const outer = w.shape?.slice(0, -2) ?? [];
    if (!context.isConstantExpression(w)) return miss(root, 'its weight {} is not constant', w);
    if (outer.length === 0 || outer.some((size) => size !== 1) || (x.shape?.length ?? 0) < outer.length + 2)
      return miss(root, 'its weight is no matrix in a higher rank');
    return { x, w, sizes: sizes.map(Number) };
  },
  apply: (root, { x, w, sizes }, context) => {
    const { graph } = context;
    const matrix = addOp(graph, 'Reshape', [w, graph.addConstant(`${w.name}.shape`, int64s(sizes))], root);
    const y = addOp(graph, 'MatMul', [x, matrix], root, { name: root.name });
    context.layers.move(root, y.producer);
    return y;
  },
});

export const SPLIT_BIAS = defineRewrite({
  name: 'split-bias',
  doc: {
    before: 'Gemm(x, W, C), C computed or not the same for every row',
    after: 'Gemm(x, W) + beta · C',
    requires: 'binary W',
    exactness: 'beta · C rounded once',
  },
  roots: ['Gemm'],
  match: (root, context) => {
    const added = root.input(2);
    if (added === null) return miss(root, 'it has no bias');
    const found = binaryWeightsOf(root.requiredInput(1), root, true, root.int('transB', 0) === 0, context);
    if (isMiss(found)) return found;
    const exact = context.evaluate(added);
    const isVector = exact !== null && channelVector(exact, 2, found.scale.length) !== null;
    return isVector ? miss(root, 'its bias is one number per output') : { added };
  },
  apply: (root, { added }, context) => {
    const { graph } = context;
    const inputs = root.inputs.slice(0, 2);
    const y = addOp(graph, 'Gemm', inputs, root, { attributes: root.attributes, name: root.name });
    context.layers.move(root, y.producer);
    const beta = root.float('beta', 1);
    if (beta === 1) return addOp(graph, 'Add', [y, added], root);
    const factor = graph.addConstant(`${root.output.name}.beta`, scalar(beta));
    return addOp(graph, 'Add', [y, addOp(graph, 'Mul', [added, factor], root)], root);
  },
});

export const TRANSPOSE_DATA = defineRewrite({
  name: 'transpose-data',
  doc: {
    before: 'Gemm(x, W, C) with transA',
    after: 'Gemm(Transpose(x), W, C)',
    requires: 'binary W',
    exactness: 'bit-exact',
  },
  roots: ['Gemm'],
  match: (root, context) => {
    if (root.int('transA', 0) === 0) return miss(root, 'its data are not transposed');
    const found = binaryWeightsOf(root.requiredInput(1), root, true, root.int('transB', 0) === 0, context);
    return isMiss(found) ? found : { data: root.requiredInput(0) };
  },
  apply: (root, { data }, context) => {
    const rows = addOp(context.graph, 'Transpose', [data], root, { attributes: SWAP });
    const attributes: Attributes = { ...root.attributes, transA: int(0) };
    const y = addOp(context.graph, 'Gemm', [rows, ...root.inputs.slice(1)], root, { attributes, name: root.name });
    context.layers.move(root, y.producer);
    return y;
  },
});
