/** Zero padding in front of a convolution becomes the convolution's own. */

import { type Attributes, ints } from '../../../graph/attribute.ts';
import { addLayer } from '../../../rewriting/add-layer.ts';
import { defineRewrite, miss } from '../../../rewriting/rewrite.ts';
import { constantPad } from './constant-pad.ts';

export const FOLD_ZERO_PAD = defineRewrite({
  name: 'fold-zero-pad',
  doc: {
    before: 'Conv(Pad(x, 0))',
    after: 'Conv(x) with larger pads',
    requires: 'constant pads, none negative, of spatial dimensions only; explicit pads of the convolution',
    exactness: 'bit-exact',
  },
  roots: ['Conv'],
  match: (root) => {
    const found = constantPad(root.requiredInput(0).producer);
    if (found === null || found.fill !== 0) return miss(root, 'its data are not padded with zeros');
    if (root.string('auto_pad', 'NOTSET') !== 'NOTSET') return miss(root, 'its own pads are not explicit');
    const rank = found.pads.length / 2;
    const isOuter = (i: number) => i % rank < 2;
    if (found.pads.some((pad, i) => pad < 0 || (isOuter(i) && pad !== 0))) {
      return miss(root, 'the padding crops, or adds images or channels');
    }
    const added = found.pads.filter((_, i) => !isOuter(i));
    const own = root.ints('pads', new Array<number>(added.length).fill(0));
    return { x: found.x, pads: own.map((pad, i) => pad + (added[i] ?? 0)) };
  },
  apply: (root, { x, pads }, context) => {
    const attributes: Attributes = { ...root.attributes, pads: ints(pads) };
    return addLayer(root, 'Conv', [x, ...root.inputs.slice(1)], attributes, context);
  },
});
