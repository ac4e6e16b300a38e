/** The factor and offset of signs move behind operators that only rearrange or select, towards the layer that takes them in. */

import { defineRewrite, miss } from '../../compiler/rewrite.ts';
import { scalar } from '../../core/tensor.ts';
import { addOp } from '../add-op.ts';
import { affineSignsOf } from '../affine-signs.ts';

export const SINK_AFFINE = defineRewrite({
  name: 'sink-affine',
  doc: {
    before: 'f(a · signs + c), f one of Flatten, Reshape, Transpose, Squeeze, Unsqueeze, Slice, Gather, MaxPool',
    after: 'a · f(signs) + c',
    requires: 'a > 0 for MaxPool',
    exactness: 'bit-exact',
  },
  roots: ['Flatten', 'Reshape', 'Transpose', 'Squeeze', 'Unsqueeze', 'Slice', 'Gather', 'MaxPool'],
  match: (root) => {
    if (root.outputs.length > 1) return miss(root, 'it has a second output');
    const affine = affineSignsOf(root.requiredInput(0));
    if (affine === null) return miss(root, 'its data are not signs');
    if (affine.signs === root.input(0)) return miss(root, 'its data are plain signs');
    if (root.is('MaxPool') && affine.factor <= 0) return miss(root, 'the factor of its signs is negative');
    return affine;
  },
  apply: (root, { signs, factor, offset }, { graph }) => {
    const constant = (value: number) => graph.addConstant(`${root.output.name}.c`, scalar(value));
    let y = addOp(graph, root.op, [signs, ...root.inputs.slice(1)], root, {
      attributes: root.attributes,
      name: root.name,
    });
    if (factor === -1) y = addOp(graph, 'Neg', [y], root);
    else if (factor !== 1) y = addOp(graph, 'Mul', [y, constant(factor)], root);
    return offset === 0 ? y : addOp(graph, 'Add', [y, constant(offset)], root);
  },
});
