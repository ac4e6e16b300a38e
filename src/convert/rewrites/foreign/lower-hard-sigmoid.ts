/** A hard sigmoid that is rounded, a binarization of Keras, in the operators that the search for steps follows. */

import { scalar } from '../../../core/tensors/tensor.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import { defineRewrite, miss } from '../../../rewriting/rewrite.ts';

const ROUNDING = ['Round', 'Floor', 'Ceil'];

export const LOWER_HARD_SIGMOID = defineRewrite({
  name: 'lower-hard-sigmoid',
  doc: {
    before: 'Round(HardSigmoid(x))',
    after: 'Round(Clip(α · x + β, 0, 1))',
    requires: 'a Round, Floor or Ceil as the only use',
    exactness: 'bit-exact, unless a runtime fuses α · x + β into one operation',
  },
  roots: ['HardSigmoid'],
  match: (root) => {
    const [use, ...others] = root.output.uses;
    const isRounded = use !== undefined && others.length === 0 && ROUNDING.includes(use.node.type);
    return isRounded ? {} : miss(root, 'it is not rounded');
  },
  apply: (root, _, { graph }) => {
    const constant = (value: number) => graph.addConstant(`${root.output.name}.c`, scalar(value));
    const scaled = addOp(graph, 'Mul', [root.requiredInput(0), constant(Math.fround(root.float('alpha', 0.2)))], root);
    const shifted = addOp(graph, 'Add', [scaled, constant(Math.fround(root.float('beta', 0.5)))], root);
    return addOp(graph, 'Clip', [shifted, constant(0), constant(1)], root, { name: root.name });
  },
});
