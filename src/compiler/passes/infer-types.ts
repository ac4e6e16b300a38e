import { inferShapes } from '../../graph/infer/infer-shapes.ts';
import { STANDARD_RULES } from '../../graph/infer/standard-rules.ts';
import { BNN_RULES } from '../../operators/registry.ts';
import type { Pass } from '../pass.ts';

const RULES = new Map([...STANDARD_RULES, ...BNN_RULES]);

export const INFER_TYPES: Pass = {
  name: 'infer-types',
  doc: 'Computes dtype and shape of every value, and refuses a model whose shapes contradict each other.',
  rewrites: [],
  run: (model) => {
    inferShapes(model, RULES);
    return { changed: false };
  },
};
