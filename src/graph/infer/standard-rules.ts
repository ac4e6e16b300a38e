/** The shape rules of the standard ONNX operators that this project handles. */

import { CONVOLUTION_RULES } from './convolution.ts';
import { ELEMENTWISE_RULES } from './elementwise.ts';
import { LINEAR_RULES } from './linear.ts';
import { NORMALIZATION_RULES } from './normalization.ts';
import { POOLING_RULES } from './pooling.ts';
import { REARRANGE_RULES } from './rearrange.ts';
import { REDUCTION_RULES } from './reduction.ts';
import type { InferRules } from './rule.ts';
import { SELECTION_RULES } from './selection.ts';
import { SOURCE_RULES } from './sources.ts';

export const STANDARD_RULES: InferRules = new Map(
  Object.entries({
    ...CONVOLUTION_RULES,
    ...ELEMENTWISE_RULES,
    ...LINEAR_RULES,
    ...NORMALIZATION_RULES,
    ...POOLING_RULES,
    ...REARRANGE_RULES,
    ...REDUCTION_RULES,
    ...SELECTION_RULES,
    ...SOURCE_RULES,
  }),
);
