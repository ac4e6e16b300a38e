/** An affine map of each channel that no layer takes in becomes a depthwise 1×1 convolution, which has a kernel in 8-bit integers. */

import { int } from '../../graph/attribute.ts';
import type { Node } from '../../graph/graph.ts';
import { addOp } from '../../rewriting/add-op.ts';
import type { RewriteContext } from '../../rewriting/context.ts';
import { type Affine, affineOfBatchNorm, channelVector, staticSize } from '../../rewriting/layers/channel-vector.ts';
import { defineRewrite, isMiss, type Miss, miss } from '../../rewriting/rewrite.ts';

export const AFFINE_TO_CONV = defineRewrite({
  name: 'affine-to-conv',
  doc: {
    before: 'BatchNormalization(x) or Add(x, c)',
    after: 'Conv(x, f, β − μ·f), one 1×1 kernel f = γ / √(σ² + ε) per channel; Add: f = 1, c; Add(x, 0) becomes x',
    requires: 'x of rank 4 and float32; inference mode; constant parameters, a scalar or per channel',
    exactness: 'float64, rounded once',
  },
  roots: ['BatchNormalization', 'Add'],
  match: (root, context) => {
    const x = root.requiredInput(0);
    if (x.shape?.length !== 4 || x.dtype !== 'float32') return miss(root, 'its input is no float32 image');
    const affine = root.is('Add') ? affineOfAdd(root, context) : affineOfBatchNorm(root, context);
    return isMiss(affine) ? affine : { x, ...affine };
  },
  apply: (root, { x, factor, offset }, context) => {
    if (root.is('Add') && offset.every((c) => c === 0)) return x;
    const channels = factor.length;
    const constant = (suffix: string, shape: readonly number[], data: Float64Array) =>
      context.addExact(`${root.output.name}.${suffix}`, { dtype: 'float32', shape, data }, root);
    const inputs = [x, constant('factor', [channels, 1, 1, 1], factor), constant('offset', [channels], offset)];
    const attributes = { group: int(channels) };
    return addOp(context.graph, 'Conv', inputs, root, { name: root.name, attributes });
  },
});

function affineOfAdd(root: Node, context: RewriteContext): Affine | Miss {
  const channels = staticSize(root.requiredInput(0).shape, 1);
  const exact = context.evaluate(root.input(1));
  const offset = exact === null || channels === null ? null : channelVector(exact, 4, channels);
  return offset === null ? miss(root, 'it adds no constant per channel') : { factor: offset.map(() => 1), offset };
}
