/**
 * Zero padding in front of a convolution becomes the convolution's own; ±1 padding moves in front of the sign. Where data are 0 and s,
 * a border of zeros is one of ±1 to the signs behind them.
 */

import { int64s, scalar } from '../../core/tensor.ts';
import { type Attributes, ints } from '../../graph/attribute.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { addOp, numbersOf, scalarOf } from '../../rewriting/add-op.ts';
import type { RewriteContext } from '../../rewriting/context.ts';
import { isMiss, type Miss, miss } from '../../rewriting/miss.ts';
import { defineRewrite } from '../../rewriting/rewrite.ts';
import { type AffineSigns, affineSignsOf } from '../affine-signs.ts';
import { binaryOperandOf } from '../binary-operand.ts';

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
    context.layers.move(root, output.producer);
    return output;
  },
});

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

interface PaddedAffine {
  readonly affine: AffineSigns;
  /** Of every dimension, as in Pad. */
  readonly pads: readonly number[];
  /** What the border is to the signs: -1 or +1. */
  readonly border: number;
}

/** factor · border + offset = fill, exactly. */
function bordered(root: Node, data: Value, fill: number, pads: readonly number[]): PaddedAffine | Miss {
  const affine = affineSignsOf(data);
  if (affine === null) return miss(root, 'its data are not signs');
  if (affine.signs === data) return miss(root, 'its data are plain signs');
  const border = [-1, 1].find((sign) => affine.factor * sign + affine.offset === fill);
  if (border === undefined) return miss(root, 'its border is none of the two values of its data');
  return { affine, pads, border };
}

/** factor · Pad(signs, border) + offset, in front of `root`. */
function addBorder(root: Node, { affine, pads, border }: PaddedAffine, { graph }: RewriteContext): Value {
  const { signs, factor, offset } = affine;
  const constant = (what: string, value: number) => graph.addConstant(`${root.output.name}.${what}`, scalar(value));
  const shape = graph.addConstant(`${root.output.name}.pads`, int64s(pads));
  const padded = addOp(graph, 'Pad', [signs, shape, constant('border', border)], root);
  const scaled = addOp(graph, 'Mul', [padded, constant('factor', factor)], root);
  return addOp(graph, 'Add', [scaled, constant('offset', offset)], root);
}

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
    const y = addOp(context.graph, 'Conv', inputs, root, { attributes, name: root.name });
    context.layers.move(root, y.producer);
    return y;
  },
});

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
