/** A border of one of the two values of the data is one of ±1 to the signs behind them. */

import { defineRewrite, miss } from '../../../rewriting/rewrite.ts';
import { addBorder, bordered, constantPad } from './constant-pad.ts';

export const PAD_AFFINE = defineRewrite({
  name: 'pad-affine',
  doc: {
    before: 'Pad(a · signs + c, a + c or c − a)',
    after: 'a · Pad(signs, +1 or −1) + c',
    requires: 'constant pads',
    exactness: 'bit-exact',
  },
  roots: ['Pad'],
  match: (root) => {
    const pad = constantPad(root);
    return pad === null ? miss(root, 'it does not pad with a constant') : bordered(root, pad.x, pad.fill, pad.pads);
  },
  apply: addBorder,
});
