/** `auto_pad` of convolutions becomes explicit pads, the only form the packed layers have. */

import { type Attributes, ints, string } from '../../graph/attribute.ts';
import type { Node } from '../../graph/graph.ts';
import { windowPads } from '../../graph/window-pads.ts';
import { addLayer } from '../add-layer.ts';
import { staticSize } from '../layers/channel-vector.ts';
import { defineRewrite, type Miss, miss } from '../rewrite.ts';

/** The explicit pads of a convolution with `auto_pad`, or why they are unknown. */
export function resolvedPads(root: Node): { readonly pads: readonly number[] } | Miss {
  const mode = root.string('auto_pad', 'NOTSET');
  if (mode === 'NOTSET') return miss(root, 'its pads are explicit');
  const weight = root.requiredInput(1).shape;
  if (weight === null) return miss(root, 'the shape of its weight is unknown');
  const axes = weight.slice(2).map((_, axis) => axis + 2);
  const sizes = axes.map((axis) => staticSize(root.requiredInput(0).shape, axis));
  const kernel = axes.map((axis) => staticSize(weight, axis));
  const pairs = windowPads(root, sizes, kernel);
  if (pairs === null) return miss(root, 'the image size is unknown');
  return { pads: [...pairs.map(([begin]) => begin), ...pairs.map(([, end]) => end)] };
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
