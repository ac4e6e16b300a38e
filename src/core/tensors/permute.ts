/** Tensors with their axes in another order. */

import { elementCount, rowMajorStrides } from './shape.ts';
import { createArray, type Tensor } from './tensor.ts';

/** Axis i of the result is axis `axes[i]` of the tensor, as in NumPy's `transpose`. */
export function permute(tensor: Tensor, axes: readonly number[]): Tensor {
  const shape = axes.map((axis) => tensor.shape[axis] ?? 1);
  const all = rowMajorStrides(tensor.shape);
  const steps = axes.map((axis) => all[axis] ?? 1);
  const data = createArray(tensor.dtype, elementCount(shape));
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0, from = 0; i < data.length; i++) {
    const element = tensor.data[from];
    if (element !== undefined) data[i] = element;
    // The next index, as an odometer counts.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += steps[axis] ?? 0;
      index[axis] = (index[axis] ?? 0) + 1;
      if ((index[axis] ?? 0) < (shape[axis] ?? 1)) break;
      from -= (shape[axis] ?? 1) * (steps[axis] ?? 0);
      index[axis] = 0;
    }
  }
  return { ...tensor, shape, data } as Tensor;
}
