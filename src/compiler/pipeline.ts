/** The order of the passes from latent to packed form, and why each stands where it does. */

import { type Pass, rewritePass } from '../rewriting/pass.ts';
import { INFER_TYPES } from '../rewriting/passes/infer-types.ts';
import { REMOVE_DEAD } from '../rewriting/passes/remove-dead.ts';
import { SHARE_CONSTANTS } from '../rewriting/passes/share-constants.ts';
import { MATMUL_TO_GEMM } from '../rewriting/rewrites/matmul-to-gemm.ts';
import { REMOVE_DROPOUT } from '../rewriting/rewrites/remove-dropout.ts';
import { REMOVE_IDENTITY } from '../rewriting/rewrites/remove-identity.ts';
import { RESOLVE_AUTO_PAD } from '../rewriting/rewrites/resolve-auto-pad.ts';
import { SINK_SIGN } from '../rewriting/rewrites/sink-sign.ts';
import type { CompileContext } from './context.ts';
import { FOLD_CONSTANTS, FOLD_SIGNS } from './passes/fold-constants.ts';
import { INSTALL_FUNCTIONS } from './passes/install-functions.ts';
import { BINARIZE_CONV } from './rewrites/binarize-conv.ts';
import { BINARIZE_GEMM } from './rewrites/binarize-gemm.ts';
import { DROP_SIGN_FACTOR } from './rewrites/drop-sign-factor.ts';
import { EMIT_SIGNS } from './rewrites/emit-signs.ts';
import { FOLD_BATCHNORM } from './rewrites/fold-batchnorm.ts';
import { FOLD_BATCHNORM_AFTER } from './rewrites/fold-batchnorm-after-float.ts';
import { FOLD_BATCHNORM_BEFORE } from './rewrites/fold-batchnorm-before-gemm.ts';
import { FOLD_BIAS } from './rewrites/fold-bias.ts';
import { FOLD_BIAS_INTO_GEMM } from './rewrites/fold-bias-into-gemm.ts';
import { FOLD_SCALE } from './rewrites/fold-scale.ts';
import { FOLD_SHIFT } from './rewrites/fold-shift.ts';
import { FUSE_PRELU } from './rewrites/fuse-prelu.ts';
import { FUSE_RELU } from './rewrites/fuse-relu.ts';
import { FUSE_RESIDUAL } from './rewrites/fuse-residual.ts';
import { REMOVE_SIGN } from './rewrites/remove-sign.ts';
import { SINK_BATCHNORM } from './rewrites/sink-batchnorm.ts';

/** What the packed form takes for granted; part of the documentation. */
export const ASSUMPTIONS: readonly string[] = [
  'The model is for inference: Dropout does nothing, BatchNormalization uses its running statistics.',
  'Parameters and activations are finite. NaN or infinity in a folded constant is refused.',
  'Constants are not meant to be replaced from outside: none of them is also a graph input.',
  'Convolutions pad with zeros after Sign, so a padded position adds nothing to the accumulator.',
  'Float sums may be reassociated by rounding where a row says so; accumulators of binary data never differ.',
  'A sign taken of a float within rounding distance of 0 may differ between the two forms, since BatchNormalization is folded.',
];

export const PIPELINE: readonly Pass<CompileContext>[] = [
  // Later passes ask for shapes and dtypes.
  INFER_TYPES,
  // Scaling factors such as mean|W| become numbers; Sign(W) stays, it marks binary weights.
  FOLD_CONSTANTS,
  // One form for what the next passes look for.
  rewritePass('simplify', 'Brings layers into the forms that the next passes look for.', [
    REMOVE_IDENTITY,
    REMOVE_DROPOUT,
    RESOLVE_AUTO_PAD,
    MATMUL_TO_GEMM,
    SINK_SIGN,
    DROP_SIGN_FACTOR,
  ]),
  // Before any fold into float weights: those of a binary layer must not be touched.
  rewritePass('pack', 'Packs binary layers and folds what follows them.', [
    BINARIZE_CONV,
    BINARIZE_GEMM,
    FOLD_SCALE,
    FOLD_BIAS,
    FOLD_BATCHNORM,
    FUSE_RELU,
    FUSE_RESIDUAL,
    FUSE_PRELU,
  ]),
  // When nothing more can be folded into the layer before: what is left of it stands between two layers.
  rewritePass('binarize', 'Moves binarization into packed layers: thresholds for their data, signs as their results.', [
    FOLD_SHIFT,
    EMIT_SIGNS,
    REMOVE_SIGN,
  ]),
  // What is left is float for good.
  rewritePass('fold-float', 'Folds normalization and bias into the layers that stay float.', [
    FOLD_BATCHNORM_AFTER,
    FOLD_BATCHNORM_BEFORE,
    FOLD_BIAS_INTO_GEMM,
    SINK_BATCHNORM,
  ]),
  // Binary weights of layers that stay float: nothing looks for Sign(W) any more.
  FOLD_SIGNS,
  REMOVE_DEAD,
  // When constants are final.
  SHARE_CONSTANTS,
  // Last: exactly the operators that are left.
  INSTALL_FUNCTIONS,
];
