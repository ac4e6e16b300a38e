/** Where data are 0 and s, the border of zeros of a convolution is one of ±1 to the signs behind them. */

import { type Attributes, ints } from '../../../graph/attribute.ts';
import { addLayer } from '../../../rewriting/add-layer.ts';
import { binaryOperandOf } from '../../../rewriting/layers/layer-operands.ts';
import { defineRewrite, isMiss, miss } from '../../../rewriting/rewrite.ts';
import { addBorder, bordered } from './constant-pad.ts';

export const PAD_WITH_SIGN = defineRewrite({
  name: 'pad-with-sign',
  doc: {
    before: 'Conv(a · signs + c, W) with padding, c = a or c = −a: data of 0 and 2a',
    after: 'Conv(a · Pad(signs, −c/a) + c, W) without padding',
    requires: 'binary W; explicit pads, none negative',
    exactness: 'bit-exact: a border of zeros is one of −c/a to the signs',
  },
  tell: (count) =>
    `${count === 1 ? '1 convolution' : `${count} convolutions`} with data of 0 and one other number: the signs that stand for them have a border of signs, exactly`,
  roots: ['Conv'],
  match: (root, context) => {
    const own = root.ints('pads', []);
    if (own.every((pad) => pad === 0)) return miss(root, 'it does not pad');
    if (root.string('auto_pad', 'NOTSET') !== 'NOTSET' || own.some((pad) => pad < 0)) {
      return miss(root, 'its pads are not explicit, or crop');
    }
    const axes = own.length / 2;
    const found = bordered(root, root.requiredInput(0), 0, [0, 0, ...own.slice(0, axes), 0, 0, ...own.slice(axes)]);
    if (isMiss(found)) return found;
    const operand = binaryOperandOf(root, context);
    return isMiss(operand) ? operand : found;
  },
  apply: (root, found, context) => {
    const data = addBorder(root, found, context);
    const attributes: Attributes = { ...root.attributes, pads: ints(root.ints('pads', []).map(() => 0)) };
    const inputs = [data, ...root.inputs.slice(1)];
    return addLayer(root, 'Conv', inputs, attributes, context);
  },
});
