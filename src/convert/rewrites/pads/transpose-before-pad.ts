/** A transposition moves in front of a padding, which then stands next to its convolution. */

import { int64s, scalar } from '../../../core/tensors/tensor.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import { defineRewrite, miss } from '../../../rewriting/rewrite.ts';
import { constantPad } from './constant-pad.ts';

export const TRANSPOSE_BEFORE_PAD = defineRewrite({
  name: 'transpose-before-pad',
  doc: {
    before: 'Conv(Transpose(Pad(x, c)))',
    after: "Conv(Pad'(Transpose(x), c))",
    requires: 'constant pads',
    exactness: 'bit-exact',
  },
  roots: ['Transpose'],
  match: (root) => {
    const pad = constantPad(root.requiredInput(0).producer);
    const perm = root.attribute('perm', 'ints');
    if (pad === null || perm === undefined) return miss(root, 'its data are not padded with a constant');
    if (!root.output.uses.some(({ node }) => node.is('Conv'))) return miss(root, 'no convolution takes it');
    const rank = perm.length;
    const pads = [...perm, ...perm.map((axis) => axis + rank)].map((axis) => pad.pads[axis] ?? 0);
    return { ...pad, pads };
  },
  apply: (root, { x, pads, fill }, { graph }) => {
    const { perm } = root.attributes;
    const turned = addOp(graph, 'Transpose', [x], root, {
      attributes: perm === undefined ? {} : { perm },
      name: root.name,
    });
    const shape = graph.addConstant(`${root.output.name}.pads`, int64s(pads));
    const border = graph.addConstant(`${root.output.name}.fill`, scalar(fill));
    return addOp(graph, 'Pad', [turned, shape, border], root);
  },
});
