/**
 * QONNX `Quant(x, scale, zero point, bit width)` in standard operators.
 *
 *     y = (clip(round(x / scale + zero), low, high) − zero) · scale
 *
 * low, high: the range of a signed or unsigned integer of that width; `narrow` leaves out the least signed (or greatest unsigned) one.
 */

import type { CompileContext } from '../../compiler/context.ts';
import { defineRewrite, type Miss, miss } from '../../compiler/rewrite.ts';
import { scalar } from '../../core/tensor.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { addOp, numbersOf } from '../add-op.ts';
import { QONNX_DOMAINS } from './lower-bipolar-quant.ts';

const ROUNDING: Readonly<Record<string, string>> = { ROUND: 'Round', HALF_EVEN: 'Round', CEIL: 'Ceil', FLOOR: 'Floor' };

interface Range {
  readonly round: string;
  readonly low: number;
  readonly high: number;
}

function rangeOf(root: Node, context: CompileContext): Range | Miss {
  const bits = context.evaluate(root.input(3))?.data ?? new Float64Array();
  const [width] = bits;
  if (width === undefined || bits.some((other) => other !== width))
    return miss(root, 'its bit width is no single constant');
  const round = ROUNDING[root.string('rounding_mode', 'ROUND')];
  if (round === undefined) return miss(root, `its rounding mode is ${root.string('rounding_mode', 'ROUND')}`);
  const narrow = root.int('narrow', 0);
  if (root.int('signed', 1) === 0) return { round, low: 0, high: 2 ** width - 1 - narrow };
  return { round, low: -(2 ** (width - 1)) + narrow, high: 2 ** (width - 1) - 1 };
}

export const LOWER_QUANT = defineRewrite({
  name: 'lower-quant',
  doc: {
    before: 'Quant(x, scale, zero, bits)',
    after: 'Mul(Sub(Clip(Round(Add(Div(x, scale), zero))), zero), scale)',
    requires: 'one constant bit width; rounding mode ROUND, CEIL or FLOOR',
    exactness: 'bit-exact',
  },
  roots: QONNX_DOMAINS.map((domain) => `${domain}.Quant`),
  match: rangeOf,
  apply: (root, { round, low, high }, { graph }) => {
    const [scale, zero] = [root.requiredInput(1), root.requiredInput(2)];
    const isAll = (value: Value, number: number) => numbersOf(value)?.every((x) => x === number) === true;
    const bound = (name: string, value: number) => graph.addConstant(`${root.output.name}.${name}`, scalar(value));
    let y = root.requiredInput(0);
    if (!isAll(scale, 1)) y = addOp(graph, 'Div', [y, scale], root);
    if (!isAll(zero, 0)) y = addOp(graph, 'Add', [y, zero], root);
    y = addOp(graph, round, [y], root, { name: root.name });
    y = addOp(graph, 'Clip', [y, bound('low', low), bound('high', high)], root);
    if (!isAll(zero, 0)) y = addOp(graph, 'Sub', [y, zero], root);
    return isAll(scale, 1) ? y : addOp(graph, 'Mul', [y, scale], root);
  },
});
