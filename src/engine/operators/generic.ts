/**
 * Operators that are not worth a kernel, by the evaluators that fold constants: in float64, rounded once. Fit for what is small
 * or rare; shapes follow from the inference.
 */

import { elementCount } from '../../core/tensors/shape.ts';
import { BnnError } from '../../errors.ts';
import { EVALUATORS } from '../../rewriting/exact/evaluators.ts';
import { type Exact, exactOf } from '../../rewriting/exact/exact.ts';
import type { Operand, Operator, StepContext } from '../step.ts';

function exactInput(context: StepContext, operand: Operand | null): Exact | undefined {
  if (operand === null) return undefined;
  if (operand.constant !== null) return exactOf(operand.constant) ?? undefined;
  const { shape, dtype } = operand;
  const data = Float64Array.from(context.engine.floats(operand.pointer(), elementCount(shape)));
  return { dtype, shape, data };
}

/** Adds a step for any operator that has an evaluator. */
export const generic: Operator = (context) => {
  const { node, at } = context;
  const evaluate = EVALUATORS.get(node.type);
  if (evaluate === undefined) throw new BnnError('E_UNSUPPORTED', `${node.type} of these inputs`, { at });
  const count = elementCount(context.shape);
  const y = context.output();
  context.run(() => {
    const inputs = context.inputs.map((operand) => exactInput(context, operand)) as Exact[];
    const result = evaluate(inputs, node, count);
    if (result === null || result.data.length !== count) {
      throw new BnnError('E_UNSUPPORTED', `this use of ${node.type}`, { at });
    }
    context.engine.floats(y.pointer(), count).set(result.data);
  });
};

export const GENERIC: ReadonlyMap<string, Operator> = new Map(
  ['Abs', 'Neg', 'Sqrt', 'ReduceMean', 'Transpose', 'Cast', 'Gather', 'Concat', 'Slice'].map((type) => [type, generic]),
);
