import { ints } from '../../../graph/attribute.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import { defineRewrite, miss } from '../../../rewriting/rewrite.ts';
import { transposed } from './transposed.ts';

export const MERGE_TRANSPOSES = defineRewrite({
  name: 'merge-transposes',
  doc: {
    before: 'Transpose(Transpose(x))',
    after: 'one Transpose, or x',
    requires: 'the orders are known',
    exactness: 'bit-exact',
  },
  roots: ['Transpose'],
  match: (root) => {
    const outer = transposed(root.output);
    if (outer === null) return miss(root, 'its order is unknown');
    const inner = transposed(outer.x);
    const x = inner?.x ?? outer.x;
    const perm = inner === null ? outer.perm : outer.perm.map((axis) => inner.perm[axis] ?? 0);
    const isIdentity = perm.every((axis, i) => axis === i);
    if (inner === null && !isIdentity) return miss(root, 'its data are not transposed');
    if (isIdentity && root.output.isOutput() && x.producer === null) return miss(root, 'it names a graph output');
    return { x, perm: isIdentity ? null : perm };
  },
  apply: (root, { x, perm }, { graph }) =>
    perm === null ? x : addOp(graph, 'Transpose', [x], root, { attributes: { perm: ints(perm) }, name: root.name }),
});
