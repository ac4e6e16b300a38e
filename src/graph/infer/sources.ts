/** Shape rules: operators that make tensors from attributes or from shapes. */

import { BnnError } from '../../errors.ts';
import type { Dim } from '../graph.ts';
import { constantInts, inputType, lengthOf, unknownShape } from './node-facts.ts';
import type { InferRule } from './rule.ts';

const constant: InferRule = (node) => {
  const tensor = node.attribute('value', 'tensor');
  if (tensor !== undefined) return [{ dtype: tensor.dtype, shape: tensor.shape }];
  const [name, attribute] = Object.entries(node.attributes).find(([key]) => key.startsWith('value_')) ?? [];
  switch (attribute?.kind) {
    case 'float':
      return [{ dtype: 'float32', shape: [] }];
    case 'int':
      return [{ dtype: 'int64', shape: [] }];
    case 'floats':
      return [{ dtype: 'float32', shape: [attribute.value.length] }];
    case 'ints':
      return [{ dtype: 'int64', shape: [attribute.value.length] }];
    case 'reference':
      return [{ dtype: null, shape: null }];
    default:
      throw new BnnError('E_UNSUPPORTED', `a constant given by ${name ?? 'no attribute'}, expected numbers`, {
        at: node.describe(),
      });
  }
};

const constantOfShape: InferRule = (node) => {
  const dtype = node.attribute('value', 'tensor')?.dtype ?? 'float32';
  return [{ dtype, shape: constantInts(node.input(0)) ?? unknownShape(lengthOf(node.input(0))) }];
};

/** One size per dimension, from `start` to `end` since opset 15. */
const shape: InferRule = (node) => {
  const x = inputType(node, 0).shape;
  if (x === null) return [{ dtype: 'int64', shape: [null] }];
  const clamp = (axis: number): number => Math.min(Math.max(axis < 0 ? axis + x.length : axis, 0), x.length);
  const length: Dim = Math.max(0, clamp(node.int('end', x.length)) - clamp(node.int('start', 0)));
  return [{ dtype: 'int64', shape: [length] }];
};

export const SOURCE_RULES: Readonly<Record<string, InferRule>> = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Shape: shape,
  Size: () => [{ dtype: 'int64', shape: [] }],
};
