/** Random inputs of the types and shapes that a model declares. */

import type { Rng } from '../core/numbers/rng.ts';
import { fromNumbers } from '../core/tensors/from-numbers.ts';
import { elementCount } from '../core/tensors/shape.ts';
import type { Dtype, Tensor } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import { inferShapes } from '../graph/infer/infer-shapes.ts';
import { decodeModel } from '../onnx/decode-model.ts';
import { INFER_RULES } from '../operators/registry.ts';
import { type IndexRange, indexRangeOf } from './index-range.ts';
import type { TensorInfo } from './session.ts';

/** What a size that the model leaves open is given. */
const OPEN_SIZE = 32;

/**
 * The shapes of inputs. A first dimension that is open is the batch, wherever its name stands; other names get one size each.
 */
export function shapesOf(inputs: readonly TensorInfo[], batch: number): number[][] {
  const sizes = new Map<string, number>();
  for (const { shape } of inputs) if (typeof shape[0] === 'string' && shape[0] !== '') sizes.set(shape[0], batch);
  return inputs.map(({ shape }) =>
    shape.map((size, axis) => {
      if (typeof size === 'number' && size > 0) return size;
      return sizes.get(String(size)) ?? (axis === 0 ? batch : OPEN_SIZE);
    }),
  );
}

/** Ranges of the inputs that a model looks things up with, by name. */
export function indexRanges(bytes: Uint8Array): ReadonlyMap<string, IndexRange> {
  const model = decodeModel(bytes);
  try {
    inferShapes(model, INFER_RULES);
  } catch (error) {
    // Sizes that the file declares have to do.
    if (!(error instanceof BnnError)) throw error;
  }
  const ranges = new Map<string, IndexRange>();
  for (const input of model.graph.inputs) {
    const range = indexRangeOf(input);
    if (range !== null) ranges.set(input.name, range);
  }
  return ranges;
}

/** Integers that are no positions: all of 8 bits, and of wider types about as many. */
const INTEGERS: Partial<Record<Dtype, readonly [low: number, high: number]>> = {
  bool: [0, 1],
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 1000],
  int16: [-1000, 1000],
  uint32: [0, 1000],
  int32: [-1000, 1000],
  uint64: [0, 1000],
  int64: [-1000, 1000],
};

/** @param drawFloat  for the float types. */
export function drawTensor(
  dtype: Dtype,
  shape: readonly number[],
  range: IndexRange | undefined,
  drawFloat: () => number,
  rng: Rng,
): Tensor {
  const bounds = INTEGERS[dtype];
  const count = elementCount(shape);
  if (bounds === undefined) return fromNumbers(dtype, shape, Float64Array.from({ length: count }, drawFloat));
  const [low, high] = range === undefined ? bounds : [range.low, range.high];
  const size = Math.max(1, high - low + 1);
  return fromNumbers(
    dtype,
    shape,
    Float64Array.from({ length: count }, () => low + rng.below(size)),
  );
}
