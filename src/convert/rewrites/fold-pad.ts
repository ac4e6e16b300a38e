/** Zero padding in front of a convolution becomes the convolution's own; ±1 padding moves in front of the sign. */

import { defineRewrite, type Miss, miss } from '../../compiler/rewrite.ts';
import { scalar } from '../../core/tensor.ts';
import { type Attributes, ints } from '../../graph/attribute.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { addOp, numbersOf, scalarOf } from '../add-op.ts';

interface ConstantPad {
  readonly x: Value;
  readonly pads: readonly number[];
  readonly fill: number;
}

function constantPad(node: Node | null): ConstantPad | null {
  if (node?.is('Pad') !== true || node.string('mode', 'constant') !== 'constant' || node.input(3) !== null) return null;
  const pads = numbersOf(node.input(1));
  const fill = node.input(2) === null ? 0 : scalarOf(node.input(2));
  return pads === null || fill === null ? null : { x: node.requiredInput(0), pads, fill };
}

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
    const output = addOp(context.graph, 'Conv', [x, ...root.inputs.slice(1)], root, { attributes, name: root.name });
    if (output.producer !== null) context.layers.move(root, output.producer);
    return output;
  },
});

function paddedSign(root: Node): { readonly source: Value; readonly pad: ConstantPad } | Miss {
  const pad = constantPad(root);
  if (pad === null || Math.abs(pad.fill) !== 1) return miss(root, 'it does not pad with +1 or -1');
  const sign = pad.x.producer;
  if (sign?.is('Sign', 'bnn') !== true) return miss(root, 'it does not pad signs');
  return { source: sign.requiredInput(0), pad };
}

export const PAD_BEFORE_SIGN = defineRewrite({
  name: 'pad-before-sign',
  doc: {
    before: 'Pad(bnn.Sign(x), ±1)',
    after: 'bnn.Sign(Pad(x, ±1))',
    requires: 'constant pads',
    exactness: 'bit-exact: the sign of ±1 is ±1',
  },
  roots: ['Pad'],
  match: paddedSign,
  apply: (root, { source, pad }, { graph }) => {
    const fill = graph.addConstant(`${root.output.name}.fill`, scalar(pad.fill));
    const padded = addOp(graph, 'Pad', [source, root.requiredInput(1), fill], root, { name: root.name });
    return addOp(graph, 'bnn.Sign', [padded], root);
  },
});
