/** Shape rules: normalization. */

import { formatShape } from '../format-type.ts';
import type { Node, Shape } from '../graph.ts';
import { mismatch, unifyDims } from './dims.ts';
import { inputType } from './node-facts.ts';
import type { InferRule } from './rule.ts';

/** x[N, C, ...] and per-channel parameters [C]; the outputs after the first are statistics [C]. */
function perChannel(parameters: readonly string[]): InferRule {
  return (node) => {
    const { dtype, shape } = inputType(node, 0);
    if (shape !== null) checkParameters(node, parameters, shape);
    const statistics = { dtype, shape: shape === null ? [null] : [shape[1] ?? null] };
    return node.outputs.map((_, i) => (i === 0 ? { dtype, shape } : statistics));
  };
}

function checkParameters(node: Node, parameters: readonly string[], x: Shape): void {
  if (x.length < 2) throw mismatch(node, `input of shape ${formatShape(x)}`, 'at least 2 dimensions');
  for (const [i, name] of parameters.entries()) {
    const { shape } = inputType(node, i + 1);
    if (shape !== null && (shape.length !== 1 || unifyDims(shape[0] ?? null, x[1] ?? null) === undefined)) {
      throw mismatch(node, `${name} of shape ${formatShape(shape)}`, `one number for each of ${x[1] ?? '?'} channels`);
    }
  }
}

/** The outputs after the first are a mean and a deviation per normalized slice. */
const layerNormalization: InferRule = (node) => {
  const { dtype, shape } = inputType(node, 0);
  const axis = node.int('axis', -1);
  const first = shape === null ? 0 : axis < 0 ? axis + shape.length : axis;
  const statistics = { dtype, shape: shape?.map((dim, i) => (i < first ? dim : 1)) ?? null };
  return node.outputs.map((_, i) => (i === 0 ? { dtype, shape } : statistics));
};

export const NORMALIZATION_RULES: Readonly<Record<string, InferRule>> = {
  BatchNormalization: perChannel(['scale', 'bias', 'mean', 'variance']),
  InstanceNormalization: perChannel(['scale', 'bias']),
  LayerNormalization: layerNormalization,
};
