/** Padding with a constant, as a rewrite sees it, and what a border is to signs. */

import { int64s, scalar } from '../../../core/tensors/tensor.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { addOp, numbersOf, scalarOf } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import { type Miss, miss } from '../../../rewriting/miss.ts';
import { type AffineSigns, affineSignsOf } from '../../signs/affine-signs.ts';

export interface ConstantPad {
  readonly x: Value;
  readonly pads: readonly number[];
  readonly fill: number;
}

export function constantPad(node: Node | null): ConstantPad | null {
  if (node?.is('Pad') !== true || node.string('mode', 'constant') !== 'constant' || node.input(3) !== null) return null;
  const pads = numbersOf(node.input(1));
  const fill = node.input(2) === null ? 0 : scalarOf(node.input(2));
  return pads === null || fill === null ? null : { x: node.requiredInput(0), pads, fill };
}

export interface PaddedAffine {
  readonly affine: AffineSigns;
  /** Of every dimension, as in Pad. */
  readonly pads: readonly number[];
  /** What the border is to the signs: -1 or +1. */
  readonly border: number;
}

/** factor · border + offset = fill, exactly. */
export function bordered(root: Node, data: Value, fill: number, pads: readonly number[]): PaddedAffine | Miss {
  const affine = affineSignsOf(data);
  if (affine === null) return miss(root, 'its data are not signs');
  if (affine.signs === data) return miss(root, 'its data are plain signs');
  const border = [-1, 1].find((sign) => affine.factor * sign + affine.offset === fill);
  if (border === undefined) return miss(root, 'its border is none of the two values of its data');
  return { affine, pads, border };
}

/** factor · Pad(signs, border) + offset, in front of `root`. */
export function addBorder(root: Node, { affine, pads, border }: PaddedAffine, { graph }: RewriteContext): Value {
  const { signs, factor, offset } = affine;
  const constant = (what: string, value: number) => graph.addConstant(`${root.output.name}.${what}`, scalar(value));
  const shape = graph.addConstant(`${root.output.name}.pads`, int64s(pads));
  const padded = addOp(graph, 'Pad', [signs, shape, constant('border', border)], root);
  const scaled = addOp(graph, 'Mul', [padded, constant('factor', factor)], root);
  return addOp(graph, 'Add', [scaled, constant('offset', offset)], root);
}
