/**
 * Proves that a value never meets a threshold: what a sign does there does not matter then. A constant is looked through; the
 * result of a binary layer takes finitely many values per channel, which are all computed.
 */

import type { Node, Value } from '../../graph/graph.ts';
import { factsOf, passesFirst } from '../../operators/operator-facts.ts';
import { isSignValued } from '../../operators/sign-valued.ts';
import type { RewriteContext } from '../../rewriting/context.ts';
import { affineOfBatchNorm, channelVector } from '../../rewriting/layers/channel-vector.ts';
import { type BinaryOperand, binaryOperandOf } from '../../rewriting/layers/layer-operands.ts';
import { isMiss } from '../../rewriting/miss.ts';

/** A float runtime may round the result of a layer differently; closer than this share of the largest value proves nothing. */
const MARGIN = 1e-5;

export function isNeverAt(value: Value, threshold: number, context: RewriteContext): boolean {
  const constant = context.evaluate(value);
  if (constant !== null) return !constant.data.includes(threshold);
  const chain: Node[] = [];
  let node = value.producer;
  while (node !== null && !isLayer(node)) {
    const step: Node = node;
    if (!passesFirst(factsOf(step)) && affineOf(step, context, 1) === null) return false;
    chain.unshift(step);
    node = dataOf(step, context).producer;
  }
  const operand = node === null ? null : binaryOperandOf(node, context);
  if (node === null || operand === null || isMiss(operand) || !isSignValued(operand.data)) return false;
  return sumsMiss(operand, node, chain, threshold, context);
}

function isLayer(node: Node): boolean {
  return node.domain === '' && ['Conv', 'Gemm', 'MatMul'].includes(node.op);
}

/** The operand of an element-wise operator that is not constant; the first input of any other. */
function dataOf(node: Node, context: RewriteContext): Value {
  const first = node.requiredInput(0);
  const second = node.input(1);
  return second !== null && ['Add', 'Mul'].includes(node.type) && context.isConstantExpression(first) ? second : first;
}

/** Factor and offset per channel; null when the operator is something else. */
function affineOf(
  node: Node,
  context: RewriteContext,
  channels: number,
): { factor: Float64Array; offset: Float64Array } | null {
  if (node.is('BatchNormalization')) {
    const affine = affineOfBatchNorm(node, context);
    return isMiss(affine) ? null : affine;
  }
  if (!['Add', 'Sub', 'Mul', 'Div', 'Neg'].includes(node.type)) return null;
  const ones = new Float64Array(channels).fill(1);
  const zeros = new Float64Array(channels);
  if (node.op === 'Neg') return { factor: ones.map(() => -1), offset: zeros };
  const data = dataOf(node, context);
  const isFirst = node.input(0) === data;
  if (!isFirst && (node.op === 'Sub' || node.op === 'Div')) return null;
  const exact = context.evaluate(node.input(isFirst ? 1 : 0));
  const rank = data.shape?.length;
  if (exact === null || rank === undefined) return null;
  const vector = channels === 1 ? exact.data : channelVector(exact, rank, channels);
  if (vector === null) return null;
  switch (node.op) {
    case 'Add':
      return { factor: ones, offset: vector };
    case 'Sub':
      return { factor: ones, offset: vector.map((x) => -x) };
    case 'Mul':
      return { factor: vector, offset: zeros };
    default:
      return { factor: vector.map((x) => 1 / x), offset: zeros };
  }
}

function sumsMiss(
  operand: BinaryOperand,
  node: Node,
  chain: readonly Node[],
  threshold: number,
  context: RewriteContext,
): boolean {
  const { scale, bias, terms } = operand;
  const channels = scale.length;
  const factor = scale.slice();
  const offset = bias.slice();
  // Channels must still be dimension 1 wherever a factor differs between them.
  let isMoved = false;
  for (const step of chain) {
    if (passesFirst(factsOf(step))) {
      isMoved ||= step.type !== 'Identity' && step.type !== 'MaxPool';
      continue;
    }
    const affine = affineOf(step, context, channels);
    if (affine === null || affine.factor.length !== channels || affine.offset.length !== channels) return false;
    const isUniform = new Set(affine.factor).size <= 1 && new Set(affine.offset).size <= 1;
    if (isMoved && !isUniform) return false;
    for (let o = 0; o < channels; o++) {
      factor[o] = (factor[o] ?? 0) * (affine.factor[o] ?? 0);
      offset[o] = (offset[o] ?? 0) * (affine.factor[o] ?? 0) + (affine.offset[o] ?? 0);
    }
  }
  // Without padding every sum has the parity of the number of its terms.
  const hasPads =
    node.is('Conv') &&
    (node.ints('pads', []).some((pad) => pad !== 0) || node.string('auto_pad', 'NOTSET') !== 'NOTSET');
  const stride = hasPads ? 1 : 2;
  for (let o = 0; o < channels; o++) {
    const [f, b] = [factor[o] ?? 0, offset[o] ?? 0];
    const margin = MARGIN * Math.max(Math.abs(f) * terms + Math.abs(b), Math.abs(threshold));
    for (let sum = -terms; sum <= terms; sum += stride) if (Math.abs(f * sum + b - threshold) <= margin) return false;
  }
  return true;
}
