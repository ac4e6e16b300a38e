import { inferShapes } from '../../graph/infer/infer-shapes.ts';
import { INFER_RULES } from '../../operators/registry.ts';
import type { Pass } from '../pass.ts';

export const INFER_TYPES: Pass = {
  name: 'infer-types',
  doc: 'Computes dtype and shape of every value, and refuses a model whose shapes contradict each other.',
  rewrites: [],
  run: (model) => {
    inferShapes(model, INFER_RULES);
    return { changed: false };
  },
};
