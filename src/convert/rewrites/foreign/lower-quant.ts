/**
 * QONNX `Quant(x, scale, zero point, bit width)`, in newer files `IntQuant`, in standard operators.
 *
 *     y = (clip(round(x / scale + zero), low, high) − zero) · scale
 *
 * low, high: the range of a signed or unsigned integer of that width; `narrow` leaves out the least signed (or greatest unsigned) one.
 * A signed integer of one bit is a sign: +1 from 0 on, else −1, in place of clip(round(…)). So the reference implementation has it.
 */

import { scalar } from '../../../core/tensors/tensor.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { addOp, numbersOf } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import { defineRewrite, type Miss, miss } from '../../../rewriting/rewrite.ts';
import { QONNX_DOMAINS } from './lower-bipolar-quant.ts';

const ROUNDING: ReadonlyMap<string, string> = new Map(
  Object.entries<string>({ ROUND: 'Round', HALF_EVEN: 'Round', CEIL: 'Ceil', FLOOR: 'Floor' }),
);

/** The operator of a rounding mode, or why there is none. */
export function roundingOf(root: Node, unless: string): string | Miss {
  const mode = root.string('rounding_mode', unless).toUpperCase();
  return ROUNDING.get(mode) ?? miss(root, `its rounding mode is ${mode}`);
}

/** The range of an integer of so many bits, by the attributes `signed` and `narrow`. */
export function rangeOf(root: Node, bits: number): { readonly low: number; readonly high: number } {
  const narrow = root.int('narrow', 0);
  if (root.int('signed', 1) === 0) return { low: 0, high: 2 ** bits - 1 - narrow };
  return { low: -(2 ** (bits - 1)) + narrow, high: 2 ** (bits - 1) - 1 };
}

/** The one number of a constant, or null. */
export function uniformOf(value: Value | null, context: RewriteContext): number | null {
  const [first, ...others] = new Set(context.evaluate(value)?.data ?? []);
  return first === undefined || others.length > 0 ? null : first;
}

interface Found {
  /** Null for a sign. */
  readonly round: string | null;
  readonly bits: number;
}

function match(root: Node, context: RewriteContext): Found | Miss {
  const bits = uniformOf(root.input(3), context);
  if (bits === null) return miss(root, 'its bit width is no single constant');
  if (bits === 1 && root.int('signed', 1) === 1) return { round: null, bits };
  const round = roundingOf(root, 'ROUND');
  return typeof round === 'string' ? { round, bits } : round;
}

export const LOWER_QUANT = defineRewrite({
  name: 'lower-quant',
  doc: {
    before: 'Quant(x, scale, zero, bits)',
    after: 'Mul(Sub(Clip(Round(Add(Div(x, scale), zero))), zero), scale), or with bnn.Sign in place of Clip(Round(…))',
    requires: 'one constant bit width; rounding mode ROUND, CEIL or FLOOR',
    exactness: 'bit-exact',
  },
  roots: QONNX_DOMAINS.flatMap((domain) => [`${domain}.Quant`, `${domain}.IntQuant`]),
  match,
  apply: (root, { round, bits }, { graph }) => {
    const [scale, zero] = [root.requiredInput(1), root.requiredInput(2)];
    const isAll = (value: Value, number: number) => numbersOf(value)?.every((x) => x === number) === true;
    const bound = (name: string, value: number) => graph.addConstant(`${root.output.name}.${name}`, scalar(value));
    let y = root.requiredInput(0);
    if (!isAll(scale, 1)) y = addOp(graph, 'Div', [y, scale], root);
    if (!isAll(zero, 0)) y = addOp(graph, 'Add', [y, zero], root);
    if (round === null) y = addOp(graph, 'bnn.Sign', [y], root, { name: root.name });
    else {
      const { low, high } = rangeOf(root, bits);
      y = addOp(graph, round, [y], root, { name: root.name });
      y = addOp(graph, 'Clip', [y, bound('low', low), bound('high', high)], root);
    }
    if (!isAll(zero, 0)) y = addOp(graph, 'Sub', [y, zero], root);
    return isAll(scale, 1) ? y : addOp(graph, 'Mul', [y, scale], root);
  },
});
