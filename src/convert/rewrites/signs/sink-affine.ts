/** The factor and offset of signs move behind operators that only rearrange or select, towards the layer that takes them in. */

import { addOp } from '../../../rewriting/add-op.ts';
import { defineRewrite, miss } from '../../../rewriting/rewrite.ts';
import { affineSignsOf } from '../../signs/affine-signs.ts';
import { addAffine } from './add-affine.ts';

/** Operators whose results are elements of their data. */
const SELECTIONS = [
  ...['Flatten', 'Reshape', 'Transpose', 'Squeeze', 'Unsqueeze', 'Slice', 'Gather', 'Expand', 'Tile'],
  ...['MaxPool', 'Pad', 'Concat'],
];

export const SINK_AFFINE = defineRewrite({
  name: 'sink-affine',
  doc: {
    before:
      'f(a · signs + c), f one of Flatten, Reshape, Transpose, Squeeze, Unsqueeze, Slice, Gather, Expand, Tile, MaxPool, Pad, Concat',
    after: 'a · f(signs) + c',
    requires: 'a > 0 for MaxPool; Pad repeats elements; all operands of Concat have the same a and c',
    exactness: 'bit-exact',
  },
  roots: [...SELECTIONS],
  match: (root) => {
    if (root.outputs.length > 1) return miss(root, 'it has a second output');
    const affine = affineSignsOf(root.requiredInput(0));
    if (affine === null) return miss(root, 'its data are not signs');
    if (affine.signs === root.input(0)) return miss(root, 'its data are plain signs');
    if (root.is('Pad') && root.string('mode', 'constant') === 'constant') return miss(root, 'its border is a constant');
    if (root.is('Concat')) {
      const all = root.inputs.map((input) => (input === null ? null : affineSignsOf(input)));
      const signs = all.filter((other) => other?.factor === affine.factor && other.offset === affine.offset);
      if (signs.length < all.length) return miss(root, 'its operands are not signs with the same factor and offset');
      return { ...affine, inputs: signs.map((other) => other?.signs ?? null) };
    }
    if (root.is('MaxPool') && affine.factor <= 0) return miss(root, 'the factor of its signs is negative');
    return { ...affine, inputs: [affine.signs, ...root.inputs.slice(1)] };
  },
  apply: (root, affine, context) => {
    const y = addOp(context.graph, root.op, affine.inputs, root, {
      attributes: root.attributes,
      name: root.name,
    });
    return addAffine(root, y, affine, context);
  },
});
