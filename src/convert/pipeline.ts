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
import { FOLD_FOREIGN_CONSTANTS, FOLD_TERNARY } from './passes/fold-constants.ts';
import { LOWER_EINSUM } from './rewrites/foreign/lower-einsum.ts';
import { LOWER_HARD_SIGMOID } from './rewrites/foreign/lower-hard-sigmoid.ts';
import { CANONICALIZE_LAYER } from './rewrites/layers/canonicalize-layer.ts';
import { FLATTEN_MATMUL } from './rewrites/layers/flatten-matmul.ts';
import { GROUP_STACK } from './rewrites/layers/group-stack.ts';
import { LIFT_CONV1D } from './rewrites/layers/lift-conv1d.ts';
import { LIFT_FACTOR } from './rewrites/layers/lift-factor.ts';
import { SINK_SQUEEZE } from './rewrites/layers/sink-squeeze.ts';
import { SNAP_WEIGHTS } from './rewrites/layers/snap-weights.ts';
import { SPLIT_BIAS } from './rewrites/layers/split-bias.ts';
import { SQUEEZE_WEIGHT } from './rewrites/layers/squeeze-weight.ts';
import { SWAP_OPERANDS } from './rewrites/layers/swap-operands.ts';
import { SWAP_STACK } from './rewrites/layers/swap-stack.ts';
import { TRANSPOSE_DATA } from './rewrites/layers/transpose-data.ts';
import { FOLD_ZERO_PAD } from './rewrites/pads/fold-zero-pad.ts';
import { PAD_AFFINE } from './rewrites/pads/pad-affine.ts';
import { PAD_BEFORE_SIGN } from './rewrites/pads/pad-before-sign.ts';
import { PAD_WITH_SIGN } from './rewrites/pads/pad-with-sign.ts';
import { TRANSPOSE_BEFORE_PAD } from './rewrites/pads/transpose-before-pad.ts';
import { DROP_EXPAND } from './rewrites/shapes/drop-expand.ts';
import { MERGE_ROWS } from './rewrites/shapes/merge-rows.ts';
import { MERGE_TRANSPOSES } from './rewrites/shapes/merge-transposes.ts';
import { NARROW_CONSTANT } from './rewrites/shapes/narrow-constant.ts';
import { RESOLVE_RESHAPE } from './rewrites/shapes/resolve-reshape.ts';
import { SINK_ROWS } from './rewrites/shapes/sink-rows.ts';
import { SINK_TRANSPOSE } from './rewrites/shapes/sink-transpose.ts';
import { CANCEL_STRAIGHT_THROUGH } from './rewrites/signs/cancel-straight-through.ts';
import { canonicalizeStep } from './rewrites/signs/canonicalize-step.ts';
import { COMPARE_WITH_ZERO } from './rewrites/signs/compare-with-zero.ts';
import { DROP_CLIP } from './rewrites/signs/drop-clip.ts';
import { FILL_MASKED } from './rewrites/signs/fill-masked.ts';
import { POOL_BEFORE_STEP } from './rewrites/signs/pool-before-step.ts';
import { SIGN_OF_POSITIVE } from './rewrites/signs/sign-of-positive.ts';
import { SINK_AFFINE } from './rewrites/signs/sink-affine.ts';
import type { SignLog, SignZero } from './signs/sign-log.ts';

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
