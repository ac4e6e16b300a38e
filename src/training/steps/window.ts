/** Sliding windows (convolution and pooling): ONNX attributes to tfjs attributes. */

import { samePadding, slidingWindowSize } from '../../core/tensors/shape.ts';
import { BnnError } from '../../errors.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { windowPads } from '../../graph/window-pads.ts';
import type { ConvAttributes } from '../../kernels/convolution.ts';
import type { ExplicitPadding, Pair } from '../../kernels/padding.ts';
import { sizeOf, unsupported } from './static-shape.ts';

export interface Window {
  readonly kernel: Pair;
  readonly strides: Pair;
  readonly dilations: Pair;
  /** [begin, end] of both axes; with `ceil_mode` the end reaches as far as the last window. */
  readonly pads: readonly [Pair, Pair];
  /** For kernels that take tfjs's `pad`. */
  readonly pad: ExplicitPadding | 'valid' | 'same';
  /** Padding to be applied to the input beforehand, for backends that know only VALID and SAME; NHWC. */
  readonly before: ExplicitPadding | null;
}

/** What positions in a picture are counted with by the kernels of every backend. */
const MOST_PIXELS = 2 ** 31 - 1;
const NONE: Pair = [0, 0];

function pair(values: readonly number[]): Pair {
  return [values[0] ?? 1, values[1] ?? 1];
}

/** Reads kernel size, strides, dilations, padding and rounding of a Conv or a pooling node over the NCHW value `x`. */
export function windowOf(node: Node, x: Value, kernel: Pair, explicitPadding: boolean): Window {
  const strides = pair(node.ints('strides', [1, 1]));
  // One element has no neighbours.
  const dilations = pair(node.ints('dilations', [1, 1])).map((d, axis) => (kernel[axis] === 1 ? 1 : d)) as Pair;
  const given = node.ints('pads', []);
  if (given.some((pad) => pad < 0))
    unsupported(node, `pads are [${given.join(', ')}], expected 0 or more (Slice crops)`);
  const sizes: Pair = [sizeOf(x, 2), sizeOf(x, 3)];
  const [rows = NONE, columns = NONE] = windowPads(node, sizes, kernel) ?? [];
  let pads: [Pair, Pair] = [[...rows], [...columns]];
  if (node.int('ceil_mode', 0) !== 0 && !node.string('auto_pad', 'NOTSET').startsWith('SAME')) {
    const reach = ([begin, end]: Pair, axis: 0 | 1): Pair => {
      const [size, window, stride, dilation] = [sizes[axis], kernel[axis], strides[axis], dilations[axis]];
      const count = slidingWindowSize(size, window, stride, begin, end, dilation, true);
      return [begin, Math.max(end, (count - 1) * stride + (window - 1) * dilation + 1 - size - begin)];
    };
    pads = [reach(pads[0], 0), reach(pads[1], 1)];
  }
  const explicit: ExplicitPadding = [[0, 0], pads[0], pads[1], [0, 0]];
  const padded = pads.map(([begin, end], axis) => (sizes[axis] ?? 0) + begin + end) as Pair;
  if (padded.some((size) => size > MOST_PIXELS)) {
    throw new BnnError(
      'E_SHAPE',
      `with its padding the input has ${padded.join(' × ')} pixels, more than can be computed`,
      {
        at: node.describe(),
        hint: `training takes up to ${MOST_PIXELS} along a side`,
      },
    );
  }
  // A longer stride than the input makes one step, too.
  const base = { kernel, strides: strides.map((s, axis) => Math.min(s, padded[axis] ?? s)) as Pair, dilations, pads };
  if (pads.flat().every((pad) => pad === 0)) return { ...base, pad: 'valid', before: null };
  const same = ([begin, end]: Pair, axis: 0 | 1): boolean => {
    const [first, last] = samePadding(sizes[axis], kernel[axis], strides[axis], dilations[axis], false);
    return begin === first && end === last;
  };
  if (same(pads[0], 0) && same(pads[1], 1)) return { ...base, pad: 'same', before: null };
  if (explicitPadding) return { ...base, pad: explicit, before: null };
  return { ...base, pad: 'valid', before: explicit };
}

/** What kernels of convolutions are given. */
export function convAttributes({ strides, dilations, pad, before }: Window): ConvAttributes {
  const padding = { pad: before ?? pad, padsBefore: before !== null };
  return { strides, dilations, ...padding, dataFormat: 'NHWC', dimRoundingMode: undefined };
}
