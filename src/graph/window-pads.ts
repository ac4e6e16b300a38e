/** How far a window reaches over the edges of what it slides over: the one place that reads `pads` and `auto_pad`. */

import { samePadding } from '../core/tensors/shape.ts';
import type { Node } from './graph.ts';

/**
 * [begin, end] along every axis that the window of a convolution or pooling slides over; null where the sizes decide it and are not known.
 * A `ceil_mode` adds what the last window needs.
 *
 * @param sizes   of the input without batch and channels; null where they are not known.
 * @param kernel  sizes of the window, as many.
 */
export function windowPads(
  node: Node,
  sizes: readonly (number | null)[],
  kernel: readonly (number | null)[],
): (readonly [begin: number, end: number])[] | null {
  const mode = node.string('auto_pad', 'NOTSET');
  const rank = kernel.length;
  if (mode === 'NOTSET' || mode === '') {
    const pads = node.ints('pads', []);
    return kernel.map((_, axis) => [pads[axis] ?? 0, pads[axis + rank] ?? 0]);
  }
  if (mode === 'VALID') return kernel.map(() => [0, 0]);
  const [strides, dilations] = [node.ints('strides', []), node.ints('dilations', [])];
  const pairs = kernel.map((window, axis) => {
    const [size = null, stride = 1, dilation = 1] = [sizes[axis], strides[axis], dilations[axis]];
    // With a stride of 1 the size does not matter.
    if (window === null || (size === null && stride !== 1)) return null;
    return samePadding(size ?? 1, window, stride, dilation, mode === 'SAME_LOWER');
  });
  return pairs.every((pair) => pair !== null) ? pairs : null;
}
