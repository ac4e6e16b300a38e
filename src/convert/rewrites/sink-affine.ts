/** The factor and offset of signs move behind operators that only rearrange or select, towards the layer that takes them in. */

import { scalar } from '../../core/tensor.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { addOp, scalarOf } from '../../rewriting/add-op.ts';
import type { RewriteContext } from '../../rewriting/context.ts';
import { miss } from '../../rewriting/miss.ts';
import { defineRewrite } from '../../rewriting/rewrite.ts';
import { type AffineSigns, affineSignsOf } from '../affine-signs.ts';

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

/** factor · signs + offset, in front of `root`. */
function addAffine(
  root: Node,
  signs: Value,
  { factor, offset }: Pick<AffineSigns, 'factor' | 'offset'>,
  { graph }: RewriteContext,
): Value {
  const constant = (value: number) => graph.addConstant(`${root.output.name}.c`, scalar(value));
  let y = signs;
  if (factor === -1) y = addOp(graph, 'Neg', [y], root);
  else if (factor !== 1) y = addOp(graph, 'Mul', [y, constant(factor)], root);
  return offset === 0 ? y : addOp(graph, 'Add', [y, constant(offset)], root);
}

export const POOL_BEFORE_STEP = defineRewrite({
  name: 'pool-before-step',
  doc: {
    before: 'MaxPool(c − a · bnn.Sign(t − x)), the form of signs that give −1 at 0',
    after: 'c − a · bnn.Sign(t − MaxPool(x))',
    requires: 'a > 0',
    exactness: 'bit-exact: both the step and its difference rise with x',
  },
  roots: ['MaxPool'],
  match: (root) => {
    if (root.outputs.length > 1) return miss(root, 'it has a second output');
    const affine = affineSignsOf(root.requiredInput(0));
    const sign = affine?.signs.producer ?? null;
    if (affine === null || sign?.is('Sign', 'bnn') !== true) return miss(root, 'its data are not signs');
    if (affine.factor >= 0) return miss(root, 'the factor of its signs is positive');
    const inner = sign.requiredInput(0).producer;
    const isNegated = inner?.is('Neg') === true;
    const minuend = inner?.is('Sub') === true ? inner.requiredInput(0) : null;
    if (inner === null || (!isNegated && scalarOf(minuend) === null)) return miss(sign, 'it is not of t − x');
    return { affine, inner, minuend, x: inner.requiredInput(isNegated ? 0 : 1) };
  },
  apply: (root, { affine, inner, minuend, x }, context) => {
    const { graph } = context;
    const pooled = addOp(graph, 'MaxPool', [x], root, { attributes: root.attributes, name: root.name });
    const difference = addOp(graph, inner.op, minuend === null ? [pooled] : [minuend, pooled], root);
    return addAffine(root, addOp(graph, 'bnn.Sign', [difference], root), affine, context);
  },
});
