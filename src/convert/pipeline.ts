/** The order of the passes from a foreign model to the latent form, and why each stands where it does. */

import { type Pass, rewritePass } from '../rewriting/pass.ts';
import { INFER_TYPES } from '../rewriting/passes/infer-types.ts';
import { REMOVE_DEAD } from '../rewriting/passes/remove-dead.ts';
import { SHARE_CONSTANTS } from '../rewriting/passes/share-constants.ts';
import { MATMUL_TO_GEMM } from '../rewriting/rewrites/matmul-to-gemm.ts';
import { REMOVE_DROPOUT } from '../rewriting/rewrites/remove-dropout.ts';
import { REMOVE_IDENTITY } from '../rewriting/rewrites/remove-identity.ts';
import { RESOLVE_AUTO_PAD } from '../rewriting/rewrites/resolve-auto-pad.ts';
import { SINK_SIGN } from '../rewriting/rewrites/sink-sign.ts';
import { FOLD_FOREIGN_CONSTANTS, FOLD_TERNARY } from './fold-constants.ts';
import { CANCEL_STRAIGHT_THROUGH } from './rewrites/cancel-straight-through.ts';
import { CANONICALIZE_LAYER } from './rewrites/canonicalize-layer.ts';
import { canonicalizeStep } from './rewrites/canonicalize-step.ts';
import { COMPARE_WITH_ZERO } from './rewrites/compare-with-zero.ts';
import { DROP_CLIP, SIGN_OF_POSITIVE } from './rewrites/drop-clip.ts';
import { FILL_MASKED } from './rewrites/fill-masked.ts';
import {
  FOLD_ZERO_PAD,
  PAD_AFFINE,
  PAD_BEFORE_SIGN,
  PAD_WITH_SIGN,
  TRANSPOSE_BEFORE_PAD,
} from './rewrites/fold-pad.ts';
import { GROUP_STACK } from './rewrites/group-stack.ts';
import { LIFT_CONV1D, SINK_SQUEEZE } from './rewrites/lift-conv1d.ts';
import { LIFT_FACTOR } from './rewrites/lift-factor.ts';
import { LOWER_EINSUM } from './rewrites/lower-einsum.ts';
import { LOWER_HARD_SIGMOID } from './rewrites/lower-hard-sigmoid.ts';
import { DROP_EXPAND, NARROW_CONSTANT } from './rewrites/narrow-operands.ts';
import {
  FLATTEN_MATMUL,
  SPLIT_BIAS,
  SQUEEZE_WEIGHT,
  SWAP_OPERANDS,
  SWAP_STACK,
  TRANSPOSE_DATA,
} from './rewrites/orient-dense.ts';
import { RESOLVE_RESHAPE } from './rewrites/resolve-reshape.ts';
import { POOL_BEFORE_STEP, SINK_AFFINE } from './rewrites/sink-affine.ts';
import { MERGE_ROWS, SINK_ROWS } from './rewrites/sink-rows.ts';
import { MERGE_TRANSPOSES, SINK_TRANSPOSE } from './rewrites/sink-transpose.ts';
import { SNAP_WEIGHTS } from './rewrites/snap-weights.ts';
import type { SignLog, SignZero } from './sign-log.ts';

export function conversionPasses(log: SignLog, signZero: SignZero): readonly Pass[] {
  const step = canonicalizeStep(log, false);
  const layers = [
    RESOLVE_AUTO_PAD,
    TRANSPOSE_BEFORE_PAD,
    FOLD_ZERO_PAD,
    PAD_BEFORE_SIGN,
    SINK_SIGN,
    SINK_AFFINE,
    POOL_BEFORE_STEP,
    PAD_AFFINE,
    PAD_WITH_SIGN,
    LIFT_FACTOR,
    MATMUL_TO_GEMM,
    SQUEEZE_WEIGHT,
    FLATTEN_MATMUL,
    GROUP_STACK,
    SWAP_OPERANDS,
    SWAP_STACK,
    TRANSPOSE_DATA,
    SPLIT_BIAS,
    step,
    CANONICALIZE_LAYER,
  ];
  return [
    // Every rewrite asks for shapes and dtypes.
    INFER_TYPES,
    // Before anything of the size of the data is folded.
    rewritePass('narrow-operands', 'Undoes expansions that broadcasting makes superfluous.', [
      REMOVE_IDENTITY,
      DROP_EXPAND,
      NARROW_CONSTANT,
    ]),
    // Shapes that are computed hide the sizes behind them; with those known, more is constant.
    FOLD_FOREIGN_CONSTANTS,
    rewritePass('resolve-shapes', 'Makes computed shapes constant.', [RESOLVE_RESHAPE]),
    INFER_TYPES,
    FOLD_FOREIGN_CONSTANTS,
    // Transposes between a sign and its layer hide one from the other, so they go first.
    rewritePass('signs', 'Brings every binarization into one form, and transposes out of the way.', [
      REMOVE_IDENTITY,
      REMOVE_DROPOUT,
      FILL_MASKED,
      CANCEL_STRAIGHT_THROUGH,
      DROP_CLIP,
      SIGN_OF_POSITIVE,
      COMPARE_WITH_ZERO,
      LOWER_HARD_SIGMOID,
      LOWER_EINSUM,
      step,
      MERGE_TRANSPOSES,
      SINK_TRANSPOSE,
    ]),
    // The products that were Einsum tell shapes that it did not.
    INFER_TYPES,
    FOLD_FOREIGN_CONSTANTS,
    // What exporters folded too far is found only where everything else is folded.
    rewritePass('snap-weights', 'Makes weights that are binary up to rounding exactly so.', [SNAP_WEIGHTS]),
    // Before the layers: there, signs and factors move down through changes of shape, here changes of shape through them.
    rewritePass('one-dimension', 'Computes binary convolutions of one dimension on pictures of height 1.', [
      FOLD_ZERO_PAD,
      PAD_BEFORE_SIGN,
      LIFT_FACTOR,
      LIFT_CONV1D,
      SINK_SQUEEZE,
    ]),
    // In a pass of its own: here signs and factors move down through transposes, above transposes through them.
    rewritePass('layers', 'Brings binary layers into one form.', layers),
    // Only now is certain which signs really give 0: those that an offset follows do not.
    ...(signZero === 'plus'
      ? [rewritePass('signs-at-zero', 'Lets signs that give 0 at 0 give +1.', [canonicalizeStep(log, true), ...layers])]
      : []),
    // Behind the layers, where signs move down through changes of shape: here these move through signs.
    rewritePass('rows', 'Computes what follows dense layers of stacks on their rows.', [SINK_ROWS, MERGE_ROWS]),
    // What still is a standard Sign of a constant has zeros.
    FOLD_TERNARY,
    REMOVE_DEAD,
    // Each layer got latent weights of its own, also where the source has one tensor for several.
    SHARE_CONSTANTS,
    INFER_TYPES,
  ];
}
