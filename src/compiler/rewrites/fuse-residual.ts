/** The addition of a shortcut becomes the last step of a packed layer. */

import type { Node, Value } from '../../graph/graph.ts';
import { defineRewrite, isMiss, type Miss, miss } from '../../rewriting/rewrite.ts';
import { type BinaryLayer, binaryLayerOf, extendLayer } from '../binary-layer.ts';
import type { CompileContext } from '../context.ts';

function sameKnownShape(a: Value, b: Value): boolean {
  const [left, right] = [a.shape, b.shape];
  if (left === null || right === null || left.length !== right.length) return false;
  return left.every((size, i) => size !== null && size === right[i]);
}

function fuse(root: Node, from: Value, residual: Value, context: CompileContext): FusedAdd | Miss {
  const layer = binaryLayerOf(from, root, context);
  if (isMiss(layer)) return layer;
  if (residual.dtype !== 'float32' || !sameKnownShape(from, residual)) {
    const shapes = [from, residual].map(({ shape }) => `[${shape?.map((size) => size ?? '?').join(', ') ?? '?'}]`);
    return miss(layer.node, `its result ${shapes[0]} and the residual ${shapes[1]} are not known to have one shape`);
  }
  return { layer, residual };
}

interface FusedAdd {
  readonly layer: BinaryLayer;
  readonly residual: Value;
}

export const FUSE_RESIDUAL = defineRewrite({
  name: 'fuse-residual',
  doc: {
    before: 'Add(layer, r) or Add(r, layer)',
    after: 'the Add variant of the layer, r its input residual; of two layers the first operand is taken',
    requires:
      'both of one known shape (nothing is broadcast); the layer has this one use, so r cannot depend on it; no residual and no PReLU yet',
    exactness: 'bit-exact',
  },
  roots: ['Add'],
  match: (root, context: CompileContext) => {
    const [first, second] = [root.requiredInput(0), root.requiredInput(1)];
    const viaFirst = fuse(root, first, second, context);
    if (!isMiss(viaFirst)) return viaFirst;
    const viaSecond = fuse(root, second, first, context);
    // The miss of the operand that is a binary layer says more.
    return isMiss(viaSecond) && viaSecond.culprit === root ? viaFirst : viaSecond;
  },
  apply: (root, { layer, residual }, context) => {
    const folded = `residual (${context.names.describe(root)})`;
    return extendLayer(layer, root, { variant: { add: true }, residual, folded }, context);
  },
});
