/** Dropout goes: it does nothing at inference. */

import { defineRewrite, miss } from '../rewrite.ts';
import { passesThrough } from './remove-identity.ts';

export const REMOVE_DROPOUT = defineRewrite({
  name: 'remove-dropout',
  doc: {
    before: 'Dropout(x)',
    after: 'x',
    requires: 'the mask is not read; training_mode is absent or the constant false',
    exactness: 'bit-exact',
  },
  roots: ['Dropout'],
  match: (root, context) => {
    const mask = root.outputs[1];
    if (mask !== undefined && (mask.uses.length > 0 || mask.isOutput())) {
      return miss(root, 'its mask is read');
    }
    const training = root.input(2);
    if (training !== null && context.evaluate(training)?.data[0] !== 0) return miss(root, 'it is in training mode');
    return passesThrough(root);
  },
  apply: (root) => root.requiredInput(0),
});
