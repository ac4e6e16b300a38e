/**
 * Operators that are not worth a kernel, by the evaluators that fold constants: in float64, rounded once. Fit for what is small
 * or rare; shapes follow from the inference.
 */

import { elementCount } from '../../core/tensors/shape.ts';
import { BnnError } from '../../errors.ts';
import { EVALUATORS } from '../../rewriting/exact/evaluators.ts';
import { type Exact, fitsDtype } from '../../rewriting/exact/exact.ts';
import { exactInput } from '../../rewriting/exact/movement.ts';
import type { Operand, Operator, StepContext } from '../step.ts';

/** The inputs of a node for its evaluator; those that are computed are what `read` gives. */
function inputsOf({ node, at, inputs }: StepContext, read: (operand: Operand) => Float64Array): readonly Exact[] {
  return inputs.map((operand, i) => {
    if (operand === null) return undefined;
    const { shape, dtype, constant } = operand;
    if (constant === null) return { dtype, shape, data: read(operand) };
    const exact = exactInput(node, i, constant);
    if (exact !== null) return exact;
    const what = `${dtype}[${shape.join(', ')}]`;
    throw new BnnError('E_UNSUPPORTED', `input ${i} of ${node.type} is ${what} that float64 does not hold`, { at });
  }) as Exact[];
}

/** Adds a step for any operator that has an evaluator. */
export const generic: Operator = (context) => {
  const { node, at, engine } = context;
  const evaluate = EVALUATORS.get(node.type);
  if (evaluate === undefined) throw new BnnError('E_UNSUPPORTED', `${node.type} of these inputs`, { at });
  const count = elementCount(context.shape);
  const compute = (read: (operand: Operand) => Float64Array): Exact => {
    const result = evaluate(inputsOf(context, read), node, count);
    if (result === null || result.data.length !== count) {
      throw new BnnError('E_UNSUPPORTED', `this use of ${node.type}`, { at });
    }
    if (fitsDtype(result)) return result;
    throw new BnnError('E_NUMERIC', `${node.type} gives numbers that ${result.dtype} does not hold exactly`, { at });
  };
  // What does not work whatever the numbers of the data are is said when the model is loaded.
  const [, ...others] = context.inputs;
  if (others.every((operand) => operand === null || operand.constant !== null)) {
    compute(({ shape }) => new Float64Array(elementCount(shape)));
  }
  const y = context.output();
  context.run(() => {
    const { data } = compute((operand) =>
      Float64Array.from(engine.floats(operand.pointer(), elementCount(operand.shape))),
    );
    engine.floats(y.pointer(), count).set(data);
  });
};

export const GENERIC: ReadonlyMap<string, Operator> = new Map(
  ['Abs', 'Neg', 'Sqrt', 'ReduceMean', 'Transpose', 'Cast', 'Gather', 'Concat', 'Slice'].map((type) => [type, generic]),
);
