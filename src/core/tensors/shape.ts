/** Arithmetic on shapes: row-major, outermost dimension first. */

/** Dimensions that a tensor may have; NumPy stops there too. */
export const MAX_RANK = 64;

/** Number of elements; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) count *= size;
  return count;
}

/** Elements between neighbours along each dimension of a dense row-major tensor. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis] ?? 1;
  }
  return strides;
}

/** `-1` and friends to a non-negative axis; undefined when out of range. */
export function normalizeAxis(axis: number, rank: number): number | undefined {
  const normal = axis < 0 ? axis + rank : axis;
  return normal >= 0 && normal < rank ? normal : undefined;
}

/** Output size of a convolution or pooling along one dimension (floor mode). */
export function slidingWindowSize(
  size: number,
  kernel: number,
  stride: number,
  padBegin: number,
  padEnd: number,
  dilation: number,
  ceil = false,
): number {
  const span = size + padBegin + padEnd - ((kernel - 1) * dilation + 1);
  if (!ceil) return Math.floor(span / stride) + 1;
  const count = Math.ceil(span / stride) + 1;
  // A window may not start in the end padding.
  return (count - 1) * stride >= size + padBegin ? count - 1 : count;
}

/**
 * Padding in front and behind along one dimension for `auto_pad` SAME_UPPER, or SAME_LOWER: as many windows as there are strides in the
 * data. Of an odd number of elements the larger half is behind, or in front.
 */
export function samePadding(
  size: number,
  kernel: number,
  stride: number,
  dilation: number,
  isLower: boolean,
): [begin: number, end: number] {
  const extent = (kernel - 1) * dilation + 1;
  const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + extent - size);
  const small = Math.floor(total / 2);
  return isLower ? [total - small, small] : [small, total - small];
}

/** NumPy broadcasting of two shapes; undefined when they do not fit. */
export function broadcastShapes(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const result = new Array<number>(rank);
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) return undefined;
    result[i] = x === 1 ? y : x;
  }
  return result;
}
