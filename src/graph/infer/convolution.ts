/** Shape rules: convolution. */

import { formatShape } from '../format-type.ts';
import { mismatch, unifyDims } from './dims.ts';
import { commonDtype, inputType, requireRank } from './node-facts.ts';
import type { InferRule } from './rule.ts';
import { slidingWindow } from './window.ts';

/** x[N, C, ...spatial], w[M, C / group, ...kernel], bias[M] -> [N, M, ...]. */
const conv: InferRule = (node) => {
  const dtype = commonDtype(node, [0, 1, 2]);
  const x = inputType(node, 0).shape;
  const w = inputType(node, 1).shape;
  const bias = inputType(node, 2).shape;
  const group = node.int('group', 1);
  if (w !== null) {
    if (w.length < 3) throw mismatch(node, `weight of shape ${formatShape(w)}`, 'at least 3 dimensions');
    requireRank(node, 'input', x, w.length);
    const [outputs = null, perGroup = null] = w;
    const channels = x?.[1] ?? null;
    if (typeof channels === 'number' && typeof perGroup === 'number' && channels !== perGroup * group) {
      throw mismatch(
        node,
        `input of ${channels} channels`,
        `${perGroup * group} (weight ${formatShape(w)}, group ${group})`,
      );
    }
    if (typeof outputs === 'number' && outputs % group !== 0) {
      throw mismatch(node, `${outputs} output channels`, `a multiple of group ${group}`);
    }
    if (bias !== null && (bias.length !== 1 || unifyDims(bias[0] ?? null, outputs) === undefined)) {
      throw mismatch(node, `bias of shape ${formatShape(bias)}`, `[${outputs}]`);
    }
  }
  if (x === null) return [{ dtype, shape: w === null ? null : [null, w[0] ?? null, ...w.slice(2).map(() => null)] }];
  const spatial = x.slice(2);
  const kernel = node.attribute('kernel_shape', 'ints') ?? w?.slice(2) ?? spatial.map(() => null);
  if (
    kernel.length !== spatial.length ||
    (w !== null && kernel.some((k, i) => unifyDims(k, w[i + 2] ?? null) === undefined))
  ) {
    throw mismatch(node, `kernel_shape ${formatShape(kernel)}`, `that of the weight, ${formatShape(w)}`);
  }
  return [{ dtype, shape: [x[0] ?? null, w?.[0] ?? null, ...slidingWindow(node, spatial, kernel)] }];
};

export const CONVOLUTION_RULES: Readonly<Record<string, InferRule>> = { Conv: conv };
