/** Signals of one dimension as pictures of height 1. */

import { int64s } from '../../../core/tensors/tensor.ts';
import { type Attributes, ints } from '../../../graph/attribute.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { addOp, numbersOf } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';

/** Where the height stands. */
export const HEIGHT = 2;

/** Of a window along one dimension, for one of height 1. */
export function liftedAttributes(node: Node): Attributes {
  const lifted: Record<string, Attributes[string]> = { ...node.attributes };
  for (const name of ['kernel_shape', 'strides', 'dilations']) {
    const found = node.attribute(name, 'ints');
    if (found !== undefined) lifted[name] = ints([1, ...found]);
  }
  const pads = node.attribute('pads', 'ints');
  if (pads !== undefined) lifted['pads'] = ints([0, pads[0] ?? 0, 0, pads[1] ?? 0]);
  return lifted;
}

export function withoutHeight(value: Value, before: Node, { graph }: RewriteContext): Value {
  return addOp(graph, 'Squeeze', [value, graph.addConstant(`${value.name}.axis`, int64s([HEIGHT]))], before);
}

/** The picture of height 1 behind a value of rank 3. */
export function pictureOf(value: Value | null): Value | null {
  const node = value?.producer ?? null;
  if (node?.is('Squeeze') !== true) return null;
  const axes = numbersOf(node.input(1));
  return axes?.length === 1 && axes[0] === HEIGHT ? node.requiredInput(0) : null;
}
