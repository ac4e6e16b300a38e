/** The addon's own checks: wrong arguments throw, they do not crash. */

import { expect, it } from 'vitest';
import type { NativeAddon, NativeProgram, ProgramAddon, RecordedCall } from '../../../src/backends/native/addon.ts';
import { resizableBuffer } from '../../resizable-buffer.ts';
import { describeNative, native } from './harness.ts';

describeNative('wrong arguments of the addon', () => {
  const addon = native.ok ? native.value : ({} as NativeAddon);
  const f = (n: number) => new Float32Array(n);
  const conv = (...changes: [number, number][]) => {
    const shape = Int32Array.of(1, 4, 4, 2, 3, 3, 5, 4, 4, 1, 1, 1, 1, 1, 1, 1, 0);
    for (const [index, value] of changes) shape[index] = value;
    return shape;
  };

  it.each<[string, () => void, RegExp]>([
    ['input too small', () => addon.conv2d(f(31), f(90), f(80), conv()), /argument 0 has 31 elements, expected 32/],
    ['output too small', () => addon.conv2d(f(32), f(90), f(79), conv()), /argument 2 has 79 elements, expected 80/],
    ['stride 0', () => addon.conv2d(f(32), f(90), f(80), conv([9, 0])), /not positive/],
    ['negative size', () => addon.conv2d(f(32), f(90), f(80), conv([0, -1])), /not positive/],
    ['groups that do not divide', () => addon.conv2d(f(32), f(90), f(80), conv([15, 2])), /do not divide the channels/],
    [
      'an unknown precision',
      () => addon.conv2d(f(32), f(90), f(80), conv([16, 2])),
      /neither float32 \(0\) nor bf16 \(1\)/,
    ],
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
    ['unknown instruction set with a known beginning', () => addon.setIsa('scalar\0x'), /zero character/],
    ['a limit that makes an infinite factor', () => addon.signGradTable(f(4), f(4), f(2), 1e-45, f(4)), /not a limit/],
    ['an infinite limit', () => addon.signGradTable(f(4), f(4), f(2), Number.POSITIVE_INFINITY, f(4)), /not a limit/],
    ['half a piece', () => addon.signGradTable(f(4), f(4), f(3), 1, f(4)), /not a table of pairs/],
    [
      'the same in a convolution',
      () => addon.binaryConv2dInputGradTable(f(80), f(90), f(32), f(32), conv(), null, f(2), 1e-42),
      /not a limit/,
    ],
    ['ReSTE below 1', () => addon.signGradReste(f(4), f(4), 0.5, 1, 0.1, f(4)), /argument 2 is 0.5/],
    ['ReSTE without a threshold', () => addon.signGradReste(f(4), f(4), 2, Number.NaN, 0.1, f(4)), /argument 3 is NaN/],
    ['an α that floats cannot hold', () => addon.signGradDsq(f(4), f(4), 1e-300, f(4)), /argument 2 is/],
    ['a clip that is no number', () => addon.signGradSte(f(4), f(4), Number.NaN, f(4)), /argument 2 is NaN/],
    ['a negative epsilon', () => addon.batchNormInfer(f(4), f(2), f(2), f(2), f(2), f(2), f(4), -1, false, null), /-1/],
    ['a fraction of an operation', () => addon.unary(1.5, f(3), 0, f(3)), /expected a whole number/],
    [
      'a step 0 of Adam',
      () => addon.adam(...([f(1), f(1), f(1), f(1), f(1), f(1), f(1)] as const), 1, 0.9, 0.99, 1e-8, 0, 0, false),
      /argument 12 is 0/,
    ],
    [
      'more elements than the target',
      () => addon.stridedCopy(f(4), f(4), Int32Array.of(2 ** 30, 2 ** 30, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
      /more elements|too large/,
    ],
    [
      'endless padding',
      () => addon.conv2d(f(32), f(90), f(80), conv([13, -(2 ** 31)], [14, 2 ** 31 - 1])),
      /too large/,
    ],
    ['endless dilation', () => addon.conv2d(f(32), f(90), f(80), conv([11, 2 ** 30], [12, 2 ** 30])), /too large/],
    ['endless dilation of signs', () => addon.binaryConv2d(f(32), f(90), f(80), conv([12, 2 ** 30])), /too large/],
    ['unknown instruction set', () => addon.setIsa('sse9'), /'sse9' is not available/],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(RangeError);
    expect(call).toThrow(message);
  });

  it('results that overlap operands or one another are refused, in place is not', () => {
    const memory = f(64);
    const [first, second] = [memory.subarray(0, 32), memory.subarray(16, 48)];
    expect(() => addon.conv2dInputGrad(f(80), f(90), first, conv())).not.toThrow();
    expect(() => addon.conv2dFilterGrad(first, f(80), memory.subarray(0, 0), conv())).toThrow(/has 0 elements/);
    expect(() => addon.batchNormTrain(first, f(1), f(1), f(1), first, f(1), f(1), 0, false, null)).toThrow(/overlap/);
    expect(() =>
      addon.batchNormTrain(first, f(1), f(1), f(1), f(32), memory.subarray(31, 32), f(1), 0, false, null),
    ).toThrow(/arguments 0 and 5 overlap/);
    expect(() => addon.unary(0, first, 0, second)).toThrow(/arguments 1 and 3 overlap/);
    expect(() => addon.sgdMomentum(f(32), f(32), f(32), first, second, 1, 0, 0)).toThrow(/3 and 4 overlap/);
    expect(() => addon.binary(0, first, 0, first, 0, first, 1, 32)).not.toThrow();
    expect(() => addon.sgdMomentum(first, f(32), f(32), first, f(32), 1, 0, 0)).not.toThrow();
  });

  it('arrays whose memory is gone have no elements', () => {
    const detached = f(32);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    expect(() => addon.conv2d(detached, f(90), f(80), conv())).toThrow(/argument 0 has 0 elements/);
    for (const bytes of [0, 8, 127]) {
      const buffer = resizableBuffer(128);
      const fixed = new Float32Array(buffer, 0, 32);
      const tracking = new Float32Array(buffer);
      buffer.resize(bytes);
      expect(() => addon.conv2d(fixed, f(90), f(80), conv())).toThrow(/argument 0 has 0 elements/);
      expect(() => addon.conv2d(tracking, f(90), f(80), conv())).toThrow(/argument 0 has \d elements|1 elements|31/);
      expect(() => addon.conv2d(f(32), f(90), f(80), new Int32Array(new ArrayBuffer(0)))).toThrow(/argument 3/);
    }
  });

  it('any float is taken by the surrogate gradients, at the ends of their ranges', () => {
    const x = Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, -3e38, 1e-45, -0, 0.5, 1e-38, 3e38, -0.1, 1);
    const dy = new Float32Array(x.length).fill(1);
    const dx = f(x.length);
    for (const name of addon.isas().split(',')) {
      addon.setIsa(name);
      for (const limit of [1e-37, 1, 3e38]) {
        addon.signGradTable(x, dy, Float32Array.of(1, 0, 1, 0), limit, dx);
        expect([...dx]).toEqual([...x].map((v) => (Number.isNaN(v) ? v : Math.abs(v) <= Math.fround(limit) ? 1 : 0)));
      }
      for (const o of [1, 3, 1e30]) {
        addon.signGradReste(x, dy, o, Number.POSITIVE_INFINITY, 0, dx);
        expect(dx[5]).toBeCloseTo(0.5 ** ((1 - o) / o) / o, 5);
        expect(dx[0]).toBeNaN();
      }
      for (const alpha of [1e-37, 0.5, 1 - 1e-15]) {
        addon.signGradDsq(x, dy, alpha, dx);
        expect([...dx.subarray(1)].every(Number.isFinite)).toBe(true);
      }
    }
  });
});

describeNative('recorded calls', () => {
  const addon = native.ok ? native.value : ({} as ProgramAddon);
  const x = Float32Array.of(1, -2, 3);
  const y = new Float32Array(3);
  const relu = ['unary', 0, x, 0, y] as const;

  it('are made again, all or some, with other numbers and data', async () => {
    const z = new Float32Array(3);
    const program = addon.createProgram([
      ['unary', 3, { input: 0, length: 3 }, 0, y],
      ['clip', y, 0, { number: 1 }, z],
    ]);
    const times = new Float64Array(2);
    addon.callProgram(program, 0, 2, [0, 2], [x], times);
    expect([...z]).toEqual([1, 2, 2]);
    expect([...times].every((ms) => ms > 0)).toBe(true);
    await addon.runProgram(program, 0, 1, [0, 2], [Float32Array.of(-4, -5, -6)], null);
    expect([[...y], [...z]]).toEqual([
      [4, 5, 6],
      [1, 2, 2],
    ]);
    await addon.runProgram(program, 1, 2, [0, 5], [x], null);
    expect([...z]).toEqual([4, 5, 5]);
  });

  const create = (...calls: unknown[]) => addon.createProgram(calls as RecordedCall[]);
  it.each<[string, () => unknown, RegExp]>([
    ['no list of calls', () => addon.createProgram(3 as never), /not arrays/],
    ['a call without a name', () => create([]), /no name/],
    ['an unknown kernel', () => create(['isa']), /no kernel 'isa'/],
    ['text', () => create(['unary', 'relu', x, 0, y]), /cannot be recorded/],
    ['doubles', () => create(['unary', 0, new Float64Array(3), 0, y]), /neither of floats nor of integers/],
    ['too many arguments', () => create(['unary', ...new Array<number>(17).fill(0)]), /too many/],
    ['no program', () => addon.callProgram({} as NativeProgram, 0, 0, [], [], null), /no program/],
    ['calls that are not there', () => addon.callProgram(create(relu), 0, 2, [], [], null), /argument 2 is 2/],
    [
      'a number for a flag',
      () => addon.callProgram(create(['batchNormMoments', x, null, y, y, 1]), 0, 1, [], [], null),
      /boolean/,
    ],
    [
      'what the kernel refuses',
      () => addon.callProgram(create(['unary', 0, x, 0, new Float32Array(2)]), 0, 1, [], [], null),
      /has 2/,
    ],
    [
      'a missing number',
      () => addon.callProgram(create(['clip', x, 0, { number: 0 }, y]), 0, 1, [], [], null),
      /number 0 of a program is missing/,
    ],
    [
      'an input of another size',
      () =>
        addon.callProgram(create(['unary', 0, { input: 0, length: 3 }, 0, y]), 0, 1, [], [new Float32Array(2)], null),
      /input 0 of a program has 2 elements, expected 3/,
    ],
    ['too few times', () => addon.callProgram(create(relu), 0, 1, [], [], new Float64Array(2)), /argument 5/],
  ])('refuse %s', (_, call, message) => {
    expect(call).toThrow(message);
  });

  it('refuse memory that is gone', () => {
    const gone = new Float32Array(3);
    const program = create(['unary', 0, gone, 0, y]);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    expect(() => addon.callProgram(program, 0, 1, [], [], null)).toThrow(/memory of the program is gone/);
  });

  it('say what went wrong on another thread, and run once at a time', async () => {
    const large = new Float32Array(2 ** 22);
    const program = create(['unary', 0, large, 0, large], ['unary', 0, x, 0, new Float32Array(2)]);
    const running = addon.runProgram(program, 0, 2, [], [], null);
    expect(() => addon.callProgram(program, 0, 1, [], [], null)).toThrow(/is running/);
    await expect(running).rejects.toThrow(/argument 3 has 2 elements, expected 3/);
    addon.callProgram(program, 0, 1, [], [], null);
  });
});
