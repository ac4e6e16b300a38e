/**
 * Every way to write a binarization becomes `bnn.Sign`, with what the source does at the threshold.
 *
 *     before   f(x), f any composition of signs, comparisons, Where, casts and arithmetic that takes two values
 *     after    m + h · bnn.Sign(x − t)              where f takes its upper case at t
 *              m − h · bnn.Sign(t − x)              where f takes its lower case at t
 *
 * Math     m, h: mean and half difference of the two values. x − t ≥ 0 exactly where x ≥ t, since float subtraction keeps the sign
 *          (gradual underflow); t − x ≥ 0 exactly where not x > t. (x ≥ the float after t would say the same, but the compiler adds
 *          thresholds to biases, where that last bit is lost.)
 * Requires f takes no third value at t, or x provably never is t, or the user accepts +1 there (`signZero`).
 */

import { scalar } from '../../../core/tensors/tensor.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { addOp, scalarOf } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import { defineRewrite, type Miss, miss, type Rewrite } from '../../../rewriting/rewrite.ts';
import { type FoundStep, findStep } from '../../signs/find-step.ts';
import { isNeverAt } from '../../signs/nonzero.ts';
import { CANONICALIZE_STEP, type SignLog } from '../../signs/sign-log.ts';

/** Operators that can end such a composition in floats. */
const ROOTS = [
  ...[
    'Sign',
    'Where',
    'Cast',
    'Add',
    'Sub',
    'Mul',
    'Div',
    'Neg',
    'Clip',
    'Min',
    'Max',
    'Sum',
    'Pow',
    'Abs',
    'Relu',
    'Sqrt',
  ],
  ...['Round', 'Floor', 'Ceil', 'Reciprocal', 'Identity', 'DequantizeLinear'],
];

interface Plan extends Sum {
  /** What the source gives at the threshold does not matter there, or is changed, as the user accepts. */
  readonly atThreshold: 'never' | 'changed' | null;
  readonly found: FoundStep;
  /** At the threshold: as above it, or as below it. */
  readonly atZero: 'upper' | 'lower';
}

/** y = (mean + half · sign) · scale. */
interface Sum {
  readonly mean: number;
  readonly half: number;
  readonly scale: number;
}

/** @param acceptsPlus  only once nothing else matches: `Sign(Sign(x) − c)` is −1 at 0, although its inner sign alone is 0 there. */
export function canonicalizeStep(log: SignLog, acceptsPlus: boolean): Rewrite {
  return defineRewrite({
    name: CANONICALIZE_STEP,
    doc: {
      before: 'Sign, comparisons, Where, casts and arithmetic of one value x that give two values',
      after: 'm + h · bnn.Sign(x − t), or m − h · bnn.Sign(t − x) where the lower value is taken at t',
      requires: 'no third value at the threshold, unless x never meets it or the user accepts the change; float32',
      exactness: 'bit-exact',
    },
    roots: ROOTS,
    match: (root, context) => plan(root, context, acceptsPlus),
    apply: (root, { found, atZero, atThreshold, mean, half, scale }, context) => {
      const { graph, names } = context;
      if (atThreshold !== null) log[atThreshold].add(names.nameOf(root));
      const { threshold, source } = found;
      const name = root.name;
      const constant = (value: number, what: string) => graph.addConstant(`${root.output.name}.${what}`, scalar(value));
      const isFlipped = atZero === 'lower';
      let x: Value = source;
      if (threshold !== 0) {
        const t = constant(threshold, 'threshold');
        x = addOp(graph, 'Sub', isFlipped ? [t, x] : [x, t], root);
      } else if (isFlipped) x = addOp(graph, 'Neg', [x], root);
      let y = addOp(graph, 'bnn.Sign', [x], root, { name });
      const factor = isFlipped ? -half : half;
      if (factor === -1) y = addOp(graph, 'Neg', [y], root);
      else if (factor !== 1) y = addOp(graph, 'Mul', [y, constant(factor, 'scale')], root);
      if (mean !== 0) y = addOp(graph, 'Add', [y, constant(mean, 'offset')], root);
      return scale === 1 ? y : addOp(graph, 'Mul', [y, constant(scale, 'factor')], root);
    },
  });
}

function plan(root: Node, context: RewriteContext, acceptsPlus: boolean): Plan | Miss {
  const found = findStep(root.output);
  if (found === null) return miss(root, 'it is no step function of one value');
  if (root.output.dtype !== 'float32' || found.source.dtype !== 'float32') return miss(root, 'it is not of float32');
  const { below, at, above, threshold, source } = found;
  if (below === above) return miss(root, 'it is the same below and above the threshold');
  let atThreshold: Plan['atThreshold'] = null;
  if (at !== below && at !== above) {
    if (isNeverAt(source, threshold, context)) atThreshold = 'never';
    // Weights with zeros are ternary whatever the signs of activations do.
    else if (acceptsPlus && !context.isConstantExpression(source)) atThreshold = 'changed';
    else {
      return { ...miss(root, `it gives ${at} at ${threshold}, neither ${below} nor ${above}`), code: 'third-value' };
    }
  }
  const atZero = at === above || atThreshold !== null ? 'upper' : 'lower';
  const sum = sumOf(below, above) ?? quantizedSumOf(root, below, above);
  if (sum === null) return miss(root, `${below} and ${above} cannot be written as m ± h in float32`);
  const result: Plan = { found, atZero, atThreshold, ...sum };
  return sizeOf(result) < found.nodes.size || !isCanonical(found) ? result : miss(root, 'it is canonical already');
}

/** m and h with m + h = above and m − h = below in float32: half of sum and difference, or what is near, where those are rounded. */
function sumOf(below: number, above: number): Sum | null {
  const unit = unitOf((above + below) / 2);
  for (const step of [0, 1, -1]) {
    const mean = Math.fround((above + below) / 2 + step * unit);
    for (const part of [0, 1, -1, 2, -2, 3, -3, 4, -4]) {
      const half = Math.fround((above - below) / 2 + (part / 4) * unit);
      if (Math.fround(mean + half) === above && Math.fround(mean - half) === below) return { mean, half, scale: 1 };
    }
  }
  return null;
}

/** Of the integers that a quantizer gives, which its scale multiplies behind the sum as it does in the source. */
function quantizedSumOf(root: Node, below: number, above: number): Sum | null {
  const scale = root.is('DequantizeLinear') ? scalarOf(root.input(1)) : null;
  if (scale === null || scale === 0) return null;
  const [low, high] = [Math.round(below / scale), Math.round(above / scale)];
  if (Math.fround(low * scale) !== below || Math.fround(high * scale) !== above) return null;
  return { mean: (high + low) / 2, half: (high - low) / 2, scale };
}

/** From a float32 to the next. */
function unitOf(x: number): number {
  return x === 0 ? 0 : 2 ** (Math.floor(Math.log2(Math.max(Math.abs(x), 2 ** -126))) - 23);
}

/** Operators that the replacement takes. */
function sizeOf({ atZero, mean, half, scale, found }: Plan): number {
  const isFlipped = atZero === 'lower';
  const isShifted = isFlipped || found.threshold !== 0;
  return (
    1 + (isShifted ? 1 : 0) + ((isFlipped ? -half : half) === 1 ? 0 : 1) + (mean === 0 ? 0 : 1) + (scale === 1 ? 0 : 1)
  );
}

/** True when nothing but one `bnn.Sign` and arithmetic in front of it and on its result is found. */
function isCanonical({ nodes }: FoundStep): boolean {
  let signs = 0;
  for (const node of nodes) {
    if (node.is('Sign', 'bnn')) signs++;
    else if (!['Neg', 'Mul', 'Add', 'Sub'].includes(node.type)) return false;
  }
  return signs === 1;
}
