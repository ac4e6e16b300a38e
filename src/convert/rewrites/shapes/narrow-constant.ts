/** Constants that repeat what broadcasting repeats anyway become small. */

import { elementCount, rowMajorStrides } from '../../../core/tensors/shape.ts';
import { createArray, type Tensor } from '../../../core/tensors/tensor.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { BROADCASTING } from '../../../operators/operator-facts.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import { defineRewrite, miss } from '../../../rewriting/rewrite.ts';

/** A constant with size 1 along the axes where nothing changes and another operand has the full size; null when there is none. */
function narrowed(value: Value | null, root: Node): Tensor | null {
  const tensor = value?.constant ?? null;
  if (tensor === null || tensor.data.length < 2) return null;
  const { shape, data } = tensor;
  const others = root.inputs.filter((input) => input !== null && input.constant === null);
  const strides = rowMajorStrides(shape);
  const isFree = shape.map((size, axis) => {
    const fromEnd = axis - shape.length;
    if (size === 1 || !others.some((other) => other?.shape?.at(fromEnd) === size)) return false;
    const stride = strides[axis] ?? 1;
    return data.every((element, i) => Object.is(element, data[i - (Math.floor(i / stride) % size) * stride]));
  });
  if (!isFree.includes(true)) return null;
  const target = shape.map((size, axis) => (isFree[axis] === true ? 1 : size));
  const small = createArray(tensor.dtype, elementCount(target));
  const targetStrides = rowMajorStrides(target);
  for (let i = 0; i < small.length; i++) {
    const at = target.reduce((sum, size, axis) => {
      const index = Math.floor(i / (targetStrides[axis] ?? 1)) % size;
      return sum + index * (strides[axis] ?? 1);
    }, 0);
    const element = data[at];
    if (element !== undefined) small[i] = element;
  }
  return { dtype: tensor.dtype, shape: target, data: small } as Tensor;
}

export const NARROW_CONSTANT = defineRewrite({
  name: 'narrow-constant',
  doc: {
    before: 'f(x, c), f element-wise, c the same along a dimension in which x is as large',
    after: 'f(x, c) with size 1 along that dimension',
    requires: 'known sizes',
    exactness: 'bit-exact',
  },
  roots: BROADCASTING,
  match: (root) => {
    const constants = root.inputs.map((input) => narrowed(input, root));
    return constants.some((found) => found !== null) ? { constants } : miss(root, 'no constant repeats itself');
  },
  apply: (root, { constants }, { graph }: RewriteContext) => {
    const inputs = root.inputs.map((input, i) => {
      const small = constants[i] ?? null;
      return small === null ? input : graph.addConstant(`${input?.name}.narrow`, small);
    });
    return addOp(graph, root.type, inputs, root, { attributes: root.attributes, name: root.name });
  },
});
