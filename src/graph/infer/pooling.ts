/** Shape rules: pooling. */

import { formatShape } from '../format-type.ts';
import { mismatch } from './dims.ts';
import { inputType } from './node-facts.ts';
import type { InferRule } from './rule.ts';
import { slidingWindow } from './window.ts';

/** x[N, C, ...spatial] -> [N, C, ...]; MaxPool's second output holds positions. `count_include_pad` changes values only. */
const pool: InferRule = (node) => {
  const { dtype, shape: x } = inputType(node, 0);
  const kernel = node.attribute('kernel_shape', 'ints') ?? [];
  if (x !== null && x.length !== kernel.length + 2) {
    throw mismatch(node, `input of shape ${formatShape(x)}`, `${kernel.length + 2} dimensions for its kernel_shape`);
  }
  const shape = x === null ? null : [...x.slice(0, 2), ...slidingWindow(node, x.slice(2), kernel)];
  return [
    { dtype, shape },
    { dtype: 'int64', shape },
  ];
};

/** x[N, C, ...] -> [N, C, 1, ...]. */
const globalPool: InferRule = (node) => {
  const { dtype, shape: x } = inputType(node, 0);
  if (x !== null && x.length < 3) throw mismatch(node, `input of shape ${formatShape(x)}`, 'at least 3 dimensions');
  return [{ dtype, shape: x === null ? null : x.map((dim, axis) => (axis < 2 ? dim : 1)) }];
};

export const POOLING_RULES: Readonly<Record<string, InferRule>> = {
  MaxPool: pool,
  AveragePool: pool,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
};
