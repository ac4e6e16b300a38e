/**
 * Transposes move down through operators that work element by element or name their axes, until two meet and cancel: so models
 * that were trained with channels last lose the pair around every layer.
 *
 *     before   f(Transpose(x), c)
 *     after    Transpose(f'(x, c'))          c', f': axes named in the order of x
 */

import { int64s } from '../../../core/tensors/tensor.ts';
import { type Attributes, int, ints } from '../../../graph/attribute.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { BROADCASTING, UNARY } from '../../../operators/operator-facts.ts';
import { addOp, numbersOf } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import { defineRewrite, type Miss, miss } from '../../../rewriting/rewrite.ts';
import { transposed } from './transposed.ts';

const WITH_AXIS = ['Softmax', 'LogSoftmax'];

const REDUCTIONS = ['ReduceMean', 'ReduceMax', 'ReduceMin'];

interface Plan {
  readonly perm: readonly number[];
  /** Inputs in the order of axes of x: values to read, or constants to permute. */
  readonly inputs: readonly (Value | null)[];
  readonly attributes: Attributes;
  /** The transposition behind the operator; null when none is left. */
  readonly after: readonly number[] | null;
  /** New second input. */
  readonly pads?: readonly number[];
}

function plan(root: Node, context: RewriteContext): Plan | Miss {
  const first = root.inputs.map(transposed).find((found) => found !== null);
  if (first === undefined || first === null) return miss(root, 'no operand is transposed');
  const { perm } = first;
  const sink = (
    inputs: readonly (Value | null)[],
    attributes = root.attributes,
    after: Plan['after'] = perm,
  ): Plan => ({
    perm,
    inputs,
    attributes,
    after,
  });
  const [data] = root.inputs;
  const rest = root.inputs.slice(1);
  const own = transposed(data ?? null);
  if (UNARY.includes(root.type))
    return own === null ? miss(root, 'its data are not transposed') : sink([own.x, ...rest]);
  if (BROADCASTING.includes(root.type) || root.is('Concat')) {
    const inputs: Value[] = [];
    for (const value of root.inputs) {
      const x = value === null ? null : operandOf(value, perm, root, context);
      if (x === null) return miss(root, 'its operands are transposed in different ways');
      inputs.push(x);
    }
    if (!root.is('Concat')) return sink(inputs);
    return sink(inputs, { ...root.attributes, axis: int(mapAxis(root.int('axis', 0), perm)) });
  }
  if (own === null) return miss(root, 'its data are not transposed');
  if (WITH_AXIS.includes(root.op)) {
    return sink([own.x], { ...root.attributes, axis: int(mapAxis(root.int('axis', -1), perm)) });
  }
  if (root.is('BatchNormalization')) {
    return perm[1] === 1
      ? sink([own.x, ...rest])
      : miss(root, 'its channels are another dimension before the transposition');
  }
  if (root.is('Pad')) return padPlan(root, own.x, perm, sink);
  return reductionPlan(root, own.x, perm, sink);
}

type Sink = (inputs: readonly (Value | null)[], attributes?: Attributes, after?: Plan['after']) => Plan;

function mapAxis(axis: number, perm: readonly number[]): number {
  return perm[axis < 0 ? axis + perm.length : axis] ?? 0;
}

/** What to read instead of an operand: the value before the same transposition, or a constant brought into its order. */
function operandOf(value: Value, perm: readonly number[], root: Node, context: RewriteContext): Value | null {
  const found = transposed(value);
  if (found !== null) return found.perm.every((axis, i) => axis === perm[i]) ? found.x : null;
  if (!context.isConstantExpression(value) || value.shape === null || root.is('Concat')) return null;
  return value.shape.length <= perm.length ? value : null;
}

function padPlan(root: Node, x: Value, perm: readonly number[], sink: Sink): Plan | Miss {
  const pads = numbersOf(root.input(1));
  const rank = perm.length;
  if (pads === null || pads.length !== 2 * rank) return miss(root, 'its pads are not constant');
  const before = new Array<number>(2 * rank).fill(0);
  for (const [i, axis] of perm.entries()) {
    before[axis] = pads[i] ?? 0;
    before[axis + rank] = pads[i + rank] ?? 0;
  }
  return { ...sink([x, ...root.inputs.slice(1)]), pads: before };
}

function reductionPlan(root: Node, x: Value, perm: readonly number[], sink: Sink): Plan | Miss {
  const axes = root.attribute('axes', 'ints');
  if (axes === undefined) return miss(root, 'it reduces every dimension');
  const mapped = axes.map((axis) => mapAxis(axis, perm)).sort((a, b) => a - b);
  const attributes = { ...root.attributes, axes: ints(mapped) };
  if (root.int('keepdims', 1) === 1) return sink([x], attributes);
  const kept = perm.filter((axis) => !mapped.includes(axis));
  const sorted = [...kept].sort((a, b) => a - b);
  const after = kept.map((axis) => sorted.indexOf(axis));
  return sink([x], attributes, after.every((axis, i) => axis === i) ? null : after);
}

/** A constant that was broadcast against the transposed value, for use before the transposition. */
function permuted(value: Value, perm: readonly number[], root: Node, { graph }: RewriteContext): Value {
  const rank = perm.length;
  const shape = value.shape ?? [];
  if (shape.every((size) => size === 1) && shape.length <= rank) return value;
  const full = [
    ...new Array<number>(rank - shape.length).fill(1),
    ...shape.map((size) => (typeof size === 'number' ? size : 1)),
  ];
  const target = graph.addConstant(`${value.name}.shape`, int64s(full));
  const inverse = perm.map((_, axis) => perm.indexOf(axis));
  const expanded = addOp(graph, 'Reshape', [value, target], root);
  return addOp(graph, 'Transpose', [expanded], root, { attributes: { perm: ints(inverse) } });
}

export const SINK_TRANSPOSE = defineRewrite({
  name: 'sink-transpose',
  doc: {
    before: 'f(Transpose(x), c), f element-wise, BatchNormalization, Concat, Pad, Softmax or a reduction',
    after: "Transpose(f'(x, c'))",
    requires: 'all operands transposed in the same way or constant',
    exactness: 'bit-exact',
  },
  roots: [...UNARY, ...BROADCASTING, ...WITH_AXIS, ...REDUCTIONS, 'BatchNormalization', 'Concat', 'Pad'],
  match: plan,
  apply: (root, { perm, inputs, attributes, after, pads }, context) => {
    const isBroadcast = BROADCASTING.includes(root.type);
    const ready = inputs.map((value, i) =>
      isBroadcast && value !== null && value === root.input(i) ? permuted(value, perm, root, context) : value,
    );
    if (pads !== undefined) ready[1] = context.graph.addConstant(`${root.output.name}.pads`, int64s(pads));
    const y = addOp(context.graph, root.type, ready, root, { attributes, name: root.name });
    if (after === null) return y;
    return addOp(context.graph, 'Transpose', [y], root, { attributes: { perm: ints(after) } });
  },
});
