/**
 * A product that takes another matrix for each of a stack is a convolution of 1×1 in groups, which has binary kernels.
 *
 *     before   MatMul(x[B, T, K], W[B, K, N])
 *     after    x[B, T, K] as pictures [T, B·K, 1, 1], Conv in B groups with W[B·N, K, 1, 1], its result [T, B·N, 1, 1] as [B, T, N]
 */

import { int64s } from '../../../core/tensors/tensor.ts';
import { type Attributes, int, ints } from '../../../graph/attribute.ts';
import { addLayer } from '../../../rewriting/add-layer.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import type { Exact } from '../../../rewriting/exact/exact.ts';
import { defineRewrite, miss } from '../../../rewriting/rewrite.ts';
import { affineSignsOf } from '../../signs/affine-signs.ts';

/** True when the weights of each output are ±s. */
function isBinary({ data }: Exact, stack: number, rows: number, columns: number): boolean {
  for (let b = 0; b < stack; b++) {
    for (let n = 0; n < columns; n++) {
      const at = (k: number) => Math.abs(data[(b * rows + k) * columns + n] ?? 0);
      for (let k = 1; k < rows; k++) if (at(k) !== at(0)) return false;
    }
  }
  return data.some((w) => w !== 0);
}

export const GROUP_STACK = defineRewrite({
  name: 'group-stack',
  doc: {
    before: 'MatMul(x[B, T, K], W[B, K, N])',
    after: 'Transpose(Reshape(Conv(Reshape(Transpose(x)), W as [B·N, K, 1, 1]) in B groups))',
    requires: 'x of signs, binary W, B > 1',
    exactness: 'bit-exact',
  },
  roots: ['MatMul'],
  match: (root, context) => {
    const [x, w] = [root.requiredInput(0), root.requiredInput(1)];
    const weights = context.evaluate(w);
    const [stack = 0, rows = 0, columns = 0] = weights?.shape ?? [];
    if (weights?.shape.length !== 3 || x.shape?.length !== 3) return miss(root, 'it is no product of two stacks');
    if (stack < 2 || x.shape[0] !== stack) return miss(root, 'its stacks are not of the same size');
    if (affineSignsOf(x) === null) return miss(root, 'its data are not signs');
    if (!isBinary(weights, stack, rows, columns)) return miss(root, 'its weights are not binary');
    return { x, w, stack, rows, columns };
  },
  apply: (root, { x, w, stack, rows, columns }, context) => {
    const { graph } = context;
    const swap: Attributes = { perm: ints([1, 0, 2]) };
    const shaped = (value: typeof x, sizes: readonly number[]) =>
      addOp(graph, 'Reshape', [value, graph.addConstant(`${root.output.name}.shape`, int64s(sizes))], root);
    const pictures = shaped(addOp(graph, 'Transpose', [x], root, { attributes: swap }), [-1, stack * rows, 1, 1]);
    const columnsFirst = addOp(graph, 'Transpose', [w], root, { attributes: { perm: ints([0, 2, 1]) } });
    const kernels = shaped(columnsFirst, [stack * columns, rows, 1, 1]);
    const attributes: Attributes = { kernel_shape: ints([1, 1]), group: int(stack) };
    const y = addLayer(root, 'Conv', [pictures, kernels], attributes, context);
    return addOp(graph, 'Transpose', [shaped(y, [-1, stack, columns])], root, { attributes: swap });
  },
});
