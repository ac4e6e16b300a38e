/** PadV2, Slice, StridedSlice, Transpose, Concat and Tile: one strided copy each. Ranks up to 4. */

import * as tf from '@tensorflow/tfjs-core';
import { floatInput, type NativeKernel, replaceKernel, result } from './kernel.ts';
import { copyStrided, expand, stridesOf } from './strided-copy.ts';

const MAX_RANK = 4;

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}

const pad: NativeKernel = (backend, inputs, attrs) => {
  const x = floatInput(backend, inputs['x']);
  const paddings = attrs['paddings'] as readonly (readonly [number, number])[];
  if (x === undefined || x.shape.length > MAX_RANK || paddings.flat().some((amount) => amount < 0)) return undefined;
  const before = paddings.map(([first]) => first);
  const shape = x.shape.map((size, d) => size + (paddings[d]?.[0] ?? 0) + (paddings[d]?.[1] ?? 0));
  return result(backend, shape, (y) => {
    backend.addon.fill(y, Number(attrs['constantValue'] ?? 0));
    const toStrides = stridesOf(shape);
    const fromStrides = stridesOf(x.shape);
    copyStrided(backend, x.values, y, {
      size: x.shape,
      fromStrides,
      toStrides,
      fromOffset: 0,
      toOffset: dot(before, toStrides),
    });
  });
};

const slice: NativeKernel = (backend, inputs, attrs) => {
  const x = floatInput(backend, inputs['x']);
  if (x === undefined || x.shape.length > MAX_RANK || inputs['x'] === undefined) return undefined;
  const [begin = [], size = []] = tf.slice_util.parseSliceParams(
    inputs['x'] as tf.Tensor,
    attrs['begin'] as number[],
    attrs['size'] as number[],
  );
  tf.slice_util.assertParamsValid(inputs['x'], begin, size);
  if (tf.util.sizeFromShape(size) === 0) return undefined;
  const fromStrides = stridesOf(x.shape);
  return result(backend, size, (y) =>
    copyStrided(backend, x.values, y, {
      size,
      fromStrides,
      toStrides: stridesOf(size),
      fromOffset: dot(begin, fromStrides),
      toOffset: 0,
    }),
  );
};

const stridedSlice: NativeKernel = (backend, inputs, attrs) => {
  const x = floatInput(backend, inputs['x']);
  if (x === undefined || x.shape.length > MAX_RANK) return undefined;
  const info = tf.slice_util.sliceInfo(
    [...x.shape],
    attrs['begin'] as number[],
    attrs['end'] as number[],
    attrs['strides'] as number[],
    Number(attrs['beginMask'] ?? 0),
    Number(attrs['endMask'] ?? 0),
    Number(attrs['ellipsisMask'] ?? 0),
    Number(attrs['newAxisMask'] ?? 0),
    Number(attrs['shrinkAxisMask'] ?? 0),
  );
  // What comes out as a view or a simple slice is left to the inherited kernel.
  const size = tf.slice_util.computeOutShape(info.begin, info.end, info.strides);
  const isOwnCase = !info.isIdentity && !info.sliceDim0 && !info.isSimpleSlice;
  if (!isOwnCase || size.length !== x.shape.length || tf.util.sizeFromShape(size) === 0) return undefined;
  const fromStrides = stridesOf(x.shape);
  return result(backend, info.finalShape, (y) =>
    copyStrided(backend, x.values, y, {
      size,
      fromStrides: fromStrides.map((stride, d) => stride * (info.strides[d] ?? 1)),
      toStrides: stridesOf(size),
      fromOffset: dot(info.begin, fromStrides),
      toOffset: 0,
    }),
  );
};

const transpose: NativeKernel = (backend, inputs, attrs) => {
  const x = floatInput(backend, inputs['x']);
  if (x === undefined || x.shape.length > MAX_RANK) return undefined;
  const perm = attrs['perm'] as readonly number[];
  const shape = perm.map((axis) => x.shape[axis] ?? 1);
  const strides = stridesOf(x.shape);
  const fromStrides = perm.map((axis) => strides[axis] ?? 0);
  return result(backend, shape, (y) =>
    copyStrided(backend, x.values, y, {
      size: shape,
      fromStrides,
      toStrides: stridesOf(shape),
      fromOffset: 0,
      toOffset: 0,
    }),
  );
};

const concat: NativeKernel = (backend, inputs, attrs) => {
  const parts = Object.values(inputs).map((input) => floatInput(backend, input));
  const first = parts[0];
  if (first === undefined || parts.length < 2 || first.shape.length > MAX_RANK) return undefined;
  const axis = tf.util.parseAxisParam(attrs['axis'] as number, [...first.shape])[0] ?? 0;
  const shapes = parts.map((part) => [...(part?.shape ?? [])]);
  if (parts.some((part) => part === undefined)) return undefined;
  tf.backend_util.assertParamsConsistent(shapes, axis);
  const shape = tf.backend_util.computeOutShape(shapes, axis);
  const toStrides = stridesOf(shape);
  return result(backend, shape, (y) => {
    let at = 0;
    for (const part of parts) {
      if (part === undefined) continue;
      const fromStrides = stridesOf(part.shape);
      const toOffset = at * (toStrides[axis] ?? 0);
      copyStrided(backend, part.values, y, { size: part.shape, fromStrides, toStrides, fromOffset: 0, toOffset });
      at += part.shape[axis] ?? 0;
    }
  });
};

/** Tile along dimensions of size 1 only: what broadcasting a gradient needs. */
const tile: NativeKernel = (backend, inputs, attrs) => {
  const x = floatInput(backend, inputs['x']);
  const reps = attrs['reps'] as readonly number[];
  if (x === undefined || x.shape.length > MAX_RANK || reps.length !== x.shape.length) return undefined;
  if (x.shape.some((size, d) => size !== 1 && reps[d] !== 1)) return undefined;
  const shape = x.shape.map((size, d) => size * (reps[d] ?? 1));
  return tf.util.sizeFromShape(shape) === 0 ? undefined : backend.store(expand(backend, x, shape), shape);
};

export function registerMovement(): void {
  replaceKernel(tf.PadV2, pad);
  replaceKernel(tf.Slice, slice);
  replaceKernel(tf.StridedSlice, stridedSlice);
  replaceKernel(tf.Transpose, transpose);
  replaceKernel(tf.Concat, concat);
  replaceKernel(tf.Tile, tile);
}
