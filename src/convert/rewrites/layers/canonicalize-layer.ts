/**
 * Layers on signs with weights ±s[o], or on floats with such weights, take the canonical form: both operands are signs, and
 * what they were multiplied with follows the sum.
 *
 *     before   Conv(a · signs + c, ±s[o], b)
 *     after    Conv(bnn.Sign(signs), bnn.Sign(W)) · (a · s[o]) + (b[o] + c · Σ ±s[o])
 *
 * Math     Σ_k (a·x_k + c) · s·w_k = a·s · Σ x_k·w_k + c · Σ s·w_k.
 * Requires c = 0 where the convolution pads; else the data stay as they are, and only the weights become signs.
 */

import { float32 } from '../../../core/tensors/tensor.ts';
import { type Attributes, int } from '../../../graph/attribute.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { addLayer } from '../../../rewriting/add-layer.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import { type BinaryOperand, binaryOperandOf } from '../../../rewriting/layers/layer-operands.ts';
import { defineRewrite, isMiss, type Miss, miss } from '../../../rewriting/rewrite.ts';
import { latentWeights, scaleExpression, signBehind } from '../../layers/latent-weights.ts';
import { type AffineSigns, affineSignsOf } from '../../signs/affine-signs.ts';

/** Fewer plain numbers of one magnitude may be a filter that someone designed. */
const LEAST_BINARY_WEIGHTS = 16;

interface Found {
  readonly operand: BinaryOperand;
  /** Null when the data are floats. */
  readonly affine: AffineSigns | null;
}

function hasPads(root: Node): boolean {
  if (!root.is('Conv')) return false;
  const mode = root.string('auto_pad', 'NOTSET');
  return (mode !== 'NOTSET' && mode !== 'VALID') || root.ints('pads', []).some((pad) => pad !== 0);
}

/** One weight per output always is of one magnitude. */
function looksBinary({ weights, terms }: BinaryOperand): boolean {
  const { data } = weights;
  return terms > 1 && data.length >= LEAST_BINARY_WEIGHTS && data.some((w) => w > 0) && data.some((w) => w < 0);
}

function isCanonical(root: Node, { operand, affine }: Found): boolean {
  const { weight, data, magnitude } = operand;
  if (root.is('MatMul') || weight.producer?.is('Sign', 'bnn') !== true || magnitude.some((s) => s !== 1)) return false;
  if (root.is('Gemm') && (root.float('alpha', 1) !== 1 || root.float('beta', 1) !== 1)) return false;
  return affine === null || (affine.signs === data && data.producer?.is('Sign', 'bnn') === true);
}

function match(root: Node, context: RewriteContext): Found | Miss {
  const operand = binaryOperandOf(root, context);
  if (isMiss(operand)) return operand;
  if (operand.data.dtype !== 'float32')
    return miss(root, `its data are ${operand.data.dtype ?? 'of unknown dtype'}, expected float32`);
  const signs = affineSignsOf(operand.data);
  // A border of zeros is no multiple of a sign: such data are floats.
  const affine = signs !== null && signs.offset !== 0 && hasPads(root) ? null : signs;
  if (affine === null && !context.hasSign(operand.weight) && !looksBinary(operand)) {
    return miss(root, 'its data are floats, and its weights are too few or too uniform to be called binary');
  }
  const found = { operand, affine };
  return isCanonical(root, found) ? { ...miss(root, 'it is canonical already'), code: 'canonical' } : found;
}

/** Adds a constant per output channel to what a rewrite builds. */
function perChannel(root: Node, numbers: Float64Array, name: string, context: RewriteContext): Value {
  const [first = 0] = numbers;
  const isUniform = numbers.every((x) => x === first);
  const rank = root.is('Conv') ? (root.requiredInput(1).shape?.length ?? 4) : 2;
  const shape = isUniform ? [] : [1, numbers.length, ...new Array<number>(rank - 2).fill(1)];
  const data = isUniform ? Float64Array.of(first) : numbers;
  return context.addExact(name, { dtype: 'float32', shape, data }, root);
}

function apply(root: Node, { operand, affine }: Found, context: RewriteContext): Value {
  const { graph } = context;
  const stem = root.name !== '' ? root.name : root.output.name;
  const { signs, factor, offset } = affine ?? { signs: operand.data, factor: 1, offset: 0 };
  const isSign = signs.producer?.is('Sign', 'bnn') === true;
  const data = affine === null || isSign ? signs : addOp(graph, 'bnn.Sign', [signs], root);
  const weight = binaryWeight(root, operand, context);

  const expression = scaleExpression(operand.weight, context);
  const alpha = root.is('Gemm') ? root.float('alpha', 1) : 1;
  const scale = operand.scale.map((s, o) =>
    expression === null ? factor * s : (factor * s) / (operand.magnitude[o] ?? 1),
  );
  const sums = offset === 0 ? null : rowSums(root, operand);
  const bias = operand.bias.map((b, o) => b + offset * alpha * (sums?.[o] ?? 0));
  const isScaled = expression !== null || scale.some((s) => s !== 1);
  const isBiased = bias.some((b) => b !== 0);

  const inputs = [data, weight];
  if (!isScaled && isBiased)
    inputs.push(context.addExact(`${stem}.bias`, { dtype: 'float32', shape: [bias.length], data: bias }, root));
  const isConv = root.is('Conv');
  const attributes: Attributes = isConv
    ? root.attributes
    : { transB: int(root.is('Gemm') ? root.int('transB', 0) : 0) };
  let y = addLayer(root, isConv ? 'Conv' : 'Gemm', inputs, attributes, context);
  if (!isScaled) return y;
  if (expression !== null) y = addOp(graph, 'Mul', [y, expression], root);
  if (scale.some((s) => s !== 1)) y = addOp(graph, 'Mul', [y, perChannel(root, scale, `${stem}.scale`, context)], root);
  return isBiased ? addOp(graph, 'Add', [y, perChannel(root, bias, `${stem}.bias`, context)], root) : y;
}

/** Σ_k of the weights of each output channel. */
function rowSums(root: Node, { weights, terms, scale }: BinaryOperand): Float64Array {
  const isLast = !root.is('Conv') && !(root.is('Gemm') && root.int('transB', 0) === 1);
  const sums = new Float64Array(scale.length);
  for (const [i, w] of weights.data.entries()) {
    const o = isLast ? i % scale.length : Math.floor(i / terms);
    sums[o] = (sums[o] ?? 0) + w;
  }
  return sums;
}

/** `bnn.Sign` of the latent weights: that of the source, so that what else is computed from them stays connected. */
function binaryWeight(root: Node, operand: BinaryOperand, context: RewriteContext): Value {
  const existing = signBehind(operand, context);
  if (existing !== null) return existing;
  const { name, data } = latentWeights(operand, context);
  const constant = context.graph.addConstant(name, float32(operand.weights.shape, Float32Array.from(data)));
  return addOp(context.graph, 'bnn.Sign', [constant], root);
}

export const CANONICALIZE_LAYER = defineRewrite({
  name: 'canonicalize-layer',
  doc: {
    before: 'Conv or Gemm of a · signs + c (or of floats) with weights ±s per output channel',
    after: 'Conv(bnn.Sign(x), bnn.Sign(W)) · a·s + (b + c · Σ W)',
    requires:
      'constant weights; c = 0 where the convolution pads; at least 16 weights of both signs when the data are floats',
    exactness:
      'sums of signs bit-exact, factors rounded once; with float data, products are rounded before instead of after the factor',
  },
  roots: ['Conv', 'Gemm', 'MatMul'],
  match,
  apply,
});
