/** Regrouping rows and grouping them again cancels. */

import { defineRewrite, miss } from '../../../rewriting/rewrite.ts';
import { stackOf } from './stack-of-rows.ts';

export const MERGE_ROWS = defineRewrite({
  name: 'merge-rows',
  doc: {
    before: 'Reshape(Reshape(y)), both with the last size of the matrix y, the result a matrix',
    after: 'y',
    requires: 'that last size is known',
    exactness: 'bit-exact',
  },
  roots: ['Reshape'],
  match: (root) => {
    const stack = stackOf(root.input(0));
    const [target, columns] = [root.output.shape, stack?.rows.shape?.[1]];
    if (stack === null || target?.length !== 2 || target[1] !== columns)
      return miss(root, 'it does not undo another Reshape');
    return stack;
  },
  apply: (_, { rows }) => rows,
});
