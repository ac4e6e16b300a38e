/** Sign of signs goes. */

import { isSignValued } from '../../operators/sign-valued.ts';
import { defineRewrite, miss } from '../../rewriting/rewrite.ts';
import { passesThrough } from '../../rewriting/rewrites/remove-identity.ts';

export const REMOVE_SIGN = defineRewrite({
  name: 'remove-sign',
  doc: {
    before: 'Sign(x), x the result of Sign or of a Sign variant, perhaps moved or pooled',
    after: 'x',
    requires: 'not needed to name a graph output',
    exactness: 'bit-exact',
  },
  roots: ['bnn.Sign'],
  match: (root) =>
    isSignValued(root.requiredInput(0)) ? passesThrough(root) : miss(root, 'its input may be other than ±1'),
  apply: (root) => root.requiredInput(0),
});
