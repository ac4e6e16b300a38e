/**
 * QONNX `Trunc`, which drops the lowest bits of a quantized value, in standard operators:
 *
 *     Trunc(x, scale, zero, bits in, bits out)
 *         y = (f(round(x / scale + zero) / t) − zero) · scale                        t = 2^(bits in − bits out)
 *     Trunc(x, scale, zero, bits in, scale out, zero out, bits out), the second version
 *         y = (f(clip(round(x / scale + zero) / t)) − zero / t) · scale out          t = scale out / scale, a power of two
 *
 * f: the rounding mode, FLOOR unless told.
 */

import { scalar } from '../../../core/tensors/tensor.ts';
import type { Node } from '../../../graph/graph.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import { defineRewrite, type Miss, miss } from '../../../rewriting/rewrite.ts';
import { QONNX_DOMAINS } from './lower-bipolar-quant.ts';
import { rangeOf, roundingOf, uniformOf } from './lower-quant.ts';

interface Found {
  readonly round: string;
  readonly scale: number;
  readonly zero: number;
  /** What the integers are divided by. */
  readonly divisor: number;
  readonly range: { readonly low: number; readonly high: number } | null;
  readonly zeroOut: number;
  readonly scaleOut: number;
}

function match(root: Node, context: RewriteContext): Found | Miss {
  const round = roundingOf(root, 'FLOOR');
  if (typeof round !== 'string') return round;
  const numbers = root.inputs.slice(1).map((input) => uniformOf(input, context));
  const [scale, zero, bitsIn, fourth, , sixth] = numbers;
  if (scale == null || zero == null || bitsIn == null || fourth == null) {
    return miss(root, 'its parameters are no single constants');
  }
  if (numbers.length === 4) {
    return { round, scale, zero, divisor: 2 ** (bitsIn - fourth), range: null, zeroOut: zero, scaleOut: scale };
  }
  if (sixth == null) return miss(root, 'its output bit width is no single constant');
  const divisor = 2 ** Math.round(Math.log2(fourth / scale));
  return { round, scale, zero, divisor, range: rangeOf(root, sixth), zeroOut: zero / divisor, scaleOut: fourth };
}

export const LOWER_TRUNC = defineRewrite({
  name: 'lower-trunc',
  doc: {
    before: 'Trunc(x, scale, zero, bits in, bits out), or with scale and zero of the output',
    after: 'Mul(Sub(Floor(Div(Round(Add(Div(x, scale), zero)), t)), zero), scale)',
    requires: 'parameters that are single constants; rounding mode FLOOR, ROUND or CEIL',
    exactness: 'bit-exact',
  },
  roots: QONNX_DOMAINS.map((domain) => `${domain}.Trunc`),
  match,
  apply: (root, { round, scale, zero, divisor, range, zeroOut, scaleOut }, { graph }) => {
    const constant = (value: number) => graph.addConstant(`${root.output.name}.c`, scalar(value));
    let y = addOp(graph, 'Div', [root.requiredInput(0), constant(scale)], root);
    if (zero !== 0) y = addOp(graph, 'Add', [y, constant(zero)], root);
    y = addOp(graph, 'Round', [y], root);
    y = addOp(graph, 'Div', [y, constant(divisor)], root);
    if (range !== null) y = addOp(graph, 'Clip', [y, constant(range.low), constant(range.high)], root);
    y = addOp(graph, round, [y], root, { name: root.name });
    if (zeroOut !== 0) y = addOp(graph, 'Sub', [y, constant(zeroOut)], root);
    return addOp(graph, 'Mul', [y, constant(scaleOut)], root);
  },
});
