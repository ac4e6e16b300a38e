/** Convolutions of random shape over pictures of 6×6: groups, depthwise ones with a multiplier, strides, dilations, uneven padding. */

import fc from 'fast-check';
import type { ConvCase } from './operator-cases.ts';

const pair = (max: number) => fc.tuple(fc.integer({ min: 1, max }), fc.integer({ min: 1, max }));
const pad = fc.integer({ min: 0, max: 3 });

export const CONV_CASES: fc.Arbitrary<ConvCase> = fc
  .record({
    group: fc.integer({ min: 1, max: 4 }),
    perGroup: fc.integer({ min: 1, max: 2 }),
    outputs: fc.integer({ min: 1, max: 2 }),
    kernel: pair(4),
    strides: pair(3),
    dilations: pair(2),
    pads: fc.tuple(pad, pad, pad, pad),
  })
  .filter(({ kernel, dilations, pads: [top, left, bottom, right] }) => {
    const fits = (axis: 0 | 1, padding: number) => (kernel[axis] - 1) * dilations[axis] + 1 <= 6 + padding;
    return fits(0, top + bottom) && fits(1, left + right);
  });
