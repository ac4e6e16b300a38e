/**
 * What an exporter writes for `y[y == 0] = 1`: numbers are scattered to where a mask holds.
 *
 *     before   ScatterND(x, Transpose(NonZero(mask)), Expand(c))
 *     after    Where(mask, c, x)
 */

import { scalar } from '../../../core/tensors/tensor.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { factsOf, passesFirst } from '../../../operators/operator-facts.ts';
import { addOp, scalarOf } from '../../../rewriting/add-op.ts';
import { defineRewrite, type Miss, miss } from '../../../rewriting/rewrite.ts';

const MAX_DEPTH = 16;

/** The single number that a value is filled with. */
function fillOf(value: Value | null): number | null {
  let current = value;
  for (let depth = 0; depth < MAX_DEPTH && current !== null; depth++) {
    const number = scalarOf(current);
    if (number !== null) return number;
    const node: Node | null = current.producer;
    if (node === null || !passesFirst(factsOf(node))) return null;
    current = node.input(0);
  }
  return null;
}

/** The mask whose true places a tensor of indices lists, one row for each. */
function maskOf(indices: Value): Value | null {
  const swap = indices.producer;
  if (swap?.is('Transpose') !== true) return null;
  const perm = swap.attribute('perm', 'ints');
  const places = swap.requiredInput(0).producer;
  if ((perm !== undefined && perm.join() !== '1,0') || places?.is('NonZero') !== true) return null;
  return places.requiredInput(0);
}

function match(root: Node): { readonly mask: Value; readonly fill: number; readonly x: Value } | Miss {
  const [x, indices] = [root.requiredInput(0), root.requiredInput(1)];
  const [mask, fill] = [maskOf(indices), fillOf(root.input(2))];
  if (root.string('reduction', 'none') !== 'none') return miss(root, 'it adds to what is there');
  if (mask === null || mask.dtype !== 'bool') return miss(root, 'its indices are no places of a mask');
  if (x.dtype !== 'float32') return miss(root, 'it is not of float32');
  if (fill === null) return miss(root, 'it writes more than one number');
  const sizes = x.shape ?? [];
  const isSame = mask.shape?.length === sizes.length && sizes.every((size, axis) => size === mask.shape?.[axis]);
  const isDeclared = root.output.shape === null || root.output.shape.join() === sizes.join();
  if (!isSame || !isDeclared || sizes.length === 0) return miss(root, 'its mask is not of the shape of its data');
  return { mask, fill, x };
}

export const FILL_MASKED = defineRewrite({
  name: 'fill-masked',
  doc: {
    before: 'ScatterND(x, Transpose(NonZero(mask)), Expand(c))',
    after: 'Where(mask, c, x)',
    requires: 'one number c; a mask of the shape of x',
    exactness: 'bit-exact',
  },
  roots: ['ScatterND'],
  match,
  apply: (root, { mask, fill, x }, { graph }) => {
    const number = graph.addConstant(`${root.output.name}.fill`, scalar(fill));
    return addOp(graph, 'Where', [mask, number, x], root, { name: root.name });
  },
});
