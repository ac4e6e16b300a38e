/** Sliding windows (convolution and pooling): ONNX attributes to tfjs attributes. */

import { samePadding, slidingWindowSize } from '../../core/shape.ts';
import { BnnError } from '../../errors.ts';
import type { Node, Value } from '../../graph/graph.ts';
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

function pair(values: readonly number[]): Pair {
  return [values[0] ?? 1, values[1] ?? 1];
}

/** [begin, end] of both axes for `auto_pad` SAME_UPPER or SAME_LOWER. */
function samePads(x: Value, kernel: Pair, strides: Pair, dilations: Pair, lower: boolean): [Pair, Pair] {
  const along = (axis: 0 | 1): Pair =>
    samePadding(sizeOf(x, axis + 2), kernel[axis], strides[axis], dilations[axis], lower);
  return [along(0), along(1)];
}

/** Reads kernel size, strides, dilations, padding and rounding of a Conv or a pooling node over the NCHW value `x`. */
export function windowOf(node: Node, x: Value, kernel: Pair, explicitPadding: boolean): Window {
  const strides = pair(node.ints('strides', [1, 1]));
  // One element has no neighbours.
  const dilations = pair(node.ints('dilations', [1, 1])).map((d, axis) => (kernel[axis] === 1 ? 1 : d)) as Pair;
  const mode = node.string('auto_pad', 'NOTSET');
  const given = node.ints('pads', [0, 0, 0, 0]);
  if (given.some((pad) => pad < 0))
    unsupported(node, `pads are [${given.join(', ')}], expected 0 or more (Slice crops)`);
  const [top = 0, left = 0, bottom = 0, right = 0] = given;
  let pads: [Pair, Pair] = [
    [top, bottom],
    [left, right],
  ];
  if (mode === 'VALID')
    pads = [
      [0, 0],
      [0, 0],
    ];
  else if (mode !== 'NOTSET') pads = samePads(x, kernel, strides, dilations, mode === 'SAME_LOWER');
  if (node.int('ceil_mode', 0) !== 0 && (mode === 'NOTSET' || mode === 'VALID')) {
    pads = pads.map(([begin, end], axis): Pair => {
      const [window, stride, dilation] = [kernel[axis] ?? 1, strides[axis] ?? 1, dilations[axis] ?? 1];
      const size = sizeOf(x, axis + 2);
      const count = slidingWindowSize(size, window, stride, begin, end, dilation, true);
      return [begin, Math.max(end, (count - 1) * stride + (window - 1) * dilation + 1 - size - begin)];
    }) as [Pair, Pair];
  }
  const explicit: ExplicitPadding = [[0, 0], pads[0], pads[1], [0, 0]];
  const padded = pads.map(([begin, end], axis) => sizeOf(x, axis + 2) + begin + end) as Pair;
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
  const same = samePads(x, kernel, strides, dilations, false);
  if (same.flat().every((pad, i) => pad === pads.flat()[i])) return { ...base, pad: 'same', before: null };
  if (explicitPadding) return { ...base, pad: explicit, before: null };
  return { ...base, pad: 'valid', before: explicit };
}

/** What kernels of convolutions are given. */
export function convAttributes({ strides, dilations, pad, before }: Window): ConvAttributes {
  const padding = { pad: before ?? pad, padsBefore: before !== null };
  return { strides, dilations, ...padding, dataFormat: 'NHWC', dimRoundingMode: undefined };
}
