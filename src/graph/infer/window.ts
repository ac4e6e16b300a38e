/** Sizes of what a window slides over: shared by convolution and pooling. */

import { slidingWindowSize } from '../../core/tensors/shape.ts';
import { BnnError } from '../../errors.ts';
import { formatShape } from '../format-type.ts';
import type { Dim, Node } from '../graph.ts';
import { mismatch } from './dims.ts';

/**
 * Output sizes along the spatial dimensions, from the attributes `strides`, `pads`, `dilations`, `auto_pad`, `ceil_mode`.
 *
 * @param spatial  sizes of the input without batch and channels.
 * @param kernel   sizes of the window, as many.
 * @throws {BnnError} E_SHAPE when an attribute has another length, or the window does not fit into the padded input.
 */
export function slidingWindow(node: Node, spatial: readonly Dim[], kernel: readonly Dim[]): Dim[] {
  const rank = spatial.length;
  const ones = new Array<number>(rank).fill(1);
  const strides = listOf(node, 'strides', ones);
  const dilations = listOf(node, 'dilations', ones);
  const autoPad = node.string('auto_pad', 'NOTSET');
  const zeros = new Array<number>(2 * rank).fill(0);
  const pads = autoPad === 'NOTSET' || autoPad === '' ? listOf(node, 'pads', zeros) : zeros;
  const ceil = node.int('ceil_mode', 0) !== 0;
  if (kernel.some((size) => typeof size === 'number' && size < 1)) {
    throw mismatch(node, `a window of ${formatShape(kernel)}`, 'positive numbers');
  }
  return spatial.map((size, i) => {
    const stride = strides[i] ?? 1;
    const dilation = dilations[i] ?? 1;
    if (autoPad === 'SAME_UPPER' || autoPad === 'SAME_LOWER') {
      if (typeof size !== 'number') return stride === 1 ? size : null;
      return Math.ceil(size / stride);
    }
    if (!['NOTSET', '', 'VALID'].includes(autoPad)) {
      throw new BnnError('E_FORMAT', `auto_pad is "${autoPad}", expected NOTSET, VALID, SAME_UPPER or SAME_LOWER`, {
        at: node.describe(),
      });
    }
    const [begin, end] = [pads[i] ?? 0, pads[rank + i] ?? 0];
    const window = kernel[i] ?? null;
    if (typeof window !== 'number') return null;
    // A symbol survives only a window that keeps every size.
    if (typeof size !== 'number') return stride === 1 && begin + end === (window - 1) * dilation ? size : null;
    const result = slidingWindowSize(size, window, stride, begin, end, dilation, ceil);
    if (result < 1) {
      throw mismatch(
        node,
        `spatial size ${formatShape(spatial)} with padding ${begin} + ${end}`,
        `at least the ${(window - 1) * dilation + 1} that the window spans`,
      );
    }
    return result;
  });
}

function listOf(node: Node, name: string, fallback: readonly number[]): readonly number[] {
  const list = node.ints(name, fallback);
  if (list.length !== fallback.length) {
    throw mismatch(node, `${name} of ${list.length} numbers`, `${fallback.length}`);
  }
  if (name !== 'pads' && list.some((size) => size < 1)) {
    throw mismatch(node, `${name} = ${formatShape(list)}`, 'positive numbers');
  }
  return list;
}
