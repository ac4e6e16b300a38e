/** The addon's own checks: wrong arguments throw, they do not crash. */

import { expect, it } from 'vitest';
import type { NativeAddon } from '../../../src/backends/native/addon.ts';
import { describeNative, native } from './harness.ts';

describeNative('wrong arguments of the addon', () => {
  const addon = native.ok ? native.addon : ({} as NativeAddon);
  const f = (n: number) => new Float32Array(n);
  const conv = (...changes: [number, number][]) => {
    const shape = Int32Array.of(1, 4, 4, 2, 3, 3, 5, 4, 4, 1, 1, 1, 1, 1, 1, 1);
    for (const [index, value] of changes) shape[index] = value;
    return shape;
  };

  it.each<[string, () => void, RegExp]>([
    ['input too small', () => addon.conv2d(f(31), f(90), f(80), conv()), /argument 0 has 31 elements, expected 32/],
    ['output too small', () => addon.conv2d(f(32), f(90), f(79), conv()), /argument 2 has 79 elements, expected 80/],
    ['stride 0', () => addon.conv2d(f(32), f(90), f(80), conv([9, 0])), /not positive/],
    ['negative size', () => addon.conv2d(f(32), f(90), f(80), conv([0, -1])), /not positive/],
    ['groups that do not divide', () => addon.conv2d(f(32), f(90), f(80), conv([15, 2])), /do not divide the channels/],
    ['no groups', () => addon.conv2d(f(32), f(90), f(80), conv([15, 0])), /do not divide the channels/],
    [
      'signs in groups',
      () => addon.binaryConv2d(f(32), f(36), f(64), conv([6, 4], [15, 2])),
      /convolutions of signs have no groups/,
    ],
    [
      'huge sizes',
      () => addon.conv2d(f(32), f(90), f(80), conv([0, 2 ** 31 - 1], [1, 2 ** 31 - 1], [2, 2 ** 31 - 1])),
      /too large|expected \d{9}/,
    ],
    [
      'shape of the wrong length',
      () => addon.conv2d(f(32), f(90), f(80), new Int32Array(3)),
      /argument 3 has 3 elements/,
    ],
    [
      'doubles for floats',
      () => addon.unary(0, new Float64Array(3) as unknown as Float32Array, 0, f(3)),
      /not a typed array/,
    ],
    ['unknown operation', () => addon.unary(9, f(3), 0, f(3)), /argument 0 is 9/],
    ['missing arguments', () => (addon.unary as unknown as () => void)(), /argument 0 is missing/],
    [
      'copy outside the source',
      () => addon.stridedCopy(f(4), f(4), Int32Array.of(1, 1, 1, 4, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0)),
      /reads outside/,
    ],
    [
      'copy outside the target',
      () => addon.stridedCopy(f(4), f(4), Int32Array.of(1, 1, 1, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1)),
      /writes outside/,
    ],
    [
      'negative offset',
      () => addon.stridedCopy(f(4), f(4), Int32Array.of(1, 1, 1, 4, 0, 0, 0, -1, 0, 0, 0, 1, 2, 0)),
      /reads outside/,
    ],
    ['too many threads', () => addon.setThreads(1000), /argument 0 is 1000/],
    ['unknown instruction set', () => addon.setIsa('sse9'), /'sse9' is not available/],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(RangeError);
    expect(call).toThrow(message);
  });
});
