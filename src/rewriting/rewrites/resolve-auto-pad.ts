/** `auto_pad` of convolutions becomes explicit pads, the only form the packed layers have. */

import { samePadding } from '../../core/shape.ts';
import { type Attributes, ints, string } from '../../graph/attribute.ts';
import type { Node } from '../../graph/graph.ts';
import { addLayer } from '../add-layer.ts';
import { staticSize } from '../layers/channel-vector.ts';
import { defineRewrite, type Miss, miss } from '../rewrite.ts';

/** The explicit pads of a convolution with `auto_pad`, or why they are unknown. */
export function resolvedPads(root: Node): { readonly pads: readonly number[] } | Miss {
  const mode = root.string('auto_pad', 'NOTSET');
  if (mode === 'NOTSET') return miss(root, 'its pads are explicit');
  const weight = root.requiredInput(1).shape;
  if (weight === null) return miss(root, 'the shape of its weight is unknown');
  const rank = weight.length - 2;
  const pads = new Array<number>(2 * rank).fill(0);
  if (mode === 'VALID') return { pads };
  for (let axis = 0; axis < rank; axis++) {
    const size = staticSize(root.requiredInput(0).shape, axis + 2);
    const kernel = staticSize(weight, axis + 2);
    const stride = root.ints('strides', [])[axis] ?? 1;
    const dilation = root.ints('dilations', [])[axis] ?? 1;
    if (kernel === null || (size === null && stride !== 1)) return miss(root, 'the image size is unknown');
    // With a stride of 1 the size does not matter.
    const [begin, end] = samePadding(size ?? 1, kernel, stride, dilation, mode === 'SAME_LOWER');
    pads[axis] = begin;
    pads[axis + rank] = end;
  }
  return { pads };
}

export const RESOLVE_AUTO_PAD = defineRewrite({
  name: 'resolve-auto-pad',
  doc: {
    before: 'Conv with auto_pad SAME_UPPER, SAME_LOWER or VALID',
    after: 'Conv with pads',
    requires: 'VALID, stride 1, or a known image size',
    exactness: 'bit-exact',
  },
  roots: ['Conv'],
  match: resolvedPads,
  apply: (root, { pads }, context) => {
    const attributes: Attributes = { ...root.attributes, auto_pad: string('NOTSET'), pads: ints(pads) };
    return addLayer(root, 'Conv', root.inputs, attributes, context);
  },
});
