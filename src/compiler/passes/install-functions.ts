import { addBnnFunctions } from '../../operators/registry.ts';
import type { Pass } from '../../rewriting/pass.ts';

export const INSTALL_FUNCTIONS: Pass = {
  name: 'install-functions',
  doc: 'Adds the bodies of the bnn operators that the model calls, so that a stock runtime can run it.',
  rewrites: [],
  run: (model) => {
    const before = model.functions.length;
    addBnnFunctions(model);
    return { changed: model.functions.length !== before };
  },
};
