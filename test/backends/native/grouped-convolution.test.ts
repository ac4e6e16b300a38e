import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BnnError } from '../../../src/errors.ts';
import type { GroupedConvAttributes } from '../../../src/kernels/convolution.ts';
import { run as runKernel } from '../../../src/kernels/run.ts';
import { compare, describeNative, native, random, run, setThreads, type Values, worstError } from './harness.ts';

const pair = (min: number, max: number) => fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));
const pad = fc.integer({ min: 0, max: 3 });

/** Groups of one channel and of several, with widths around those of vectors. */
const shapes = fc
  .record({
    batch: fc.integer({ min: 1, max: 3 }),
    size: pair(1, 9),
    groups: fc.constantFrom(1, 2, 3, 8, 17, 40),
    perGroup: fc.constantFrom(1, 1, 2, 5),
    outputs: fc.constantFrom(1, 1, 2, 3, 18),
    kernel: pair(1, 4),
    strides: pair(1, 3),
    dilations: pair(1, 3),
    pads: fc.tuple(pad, pad, pad, pad),
    seed: fc.integer({ min: 1, max: 1000 }),
  })
  .filter(({ size, kernel, dilations, pads: [top, left, bottom, right] }) =>
    [top + bottom, left + right].every(
      (padding, axis) => (kernel[axis]! - 1) * dilations[axis]! + 1 <= size[axis]! + padding,
    ),
  )
  // JavaScript computes what is expected.
  .filter(
    ({ batch, size: [h, w], kernel: [r, q], groups, perGroup, outputs }) =>
      batch * h * w * r * q * groups * perGroup * outputs < 1e6,
  );
type Shape = typeof shapes extends fc.Arbitrary<infer T> ? T : never;

function attributesOf({ groups, strides, dilations, pads: [top, left, bottom, right] }: Shape): GroupedConvAttributes {
  const pad: GroupedConvAttributes['pad'] = [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
  return { groups, strides, dilations, pad, padsBefore: false, dataFormat: 'NHWC', dimRoundingMode: undefined };
}

/** Output and both gradients as a training step computes them on a backend. */
async function passes(backend: string, s: Shape): Promise<Values[]> {
  await tf.setBackend(backend);
  const channels = s.groups * s.perGroup;
  const attributes = attributesOf(s);
  const tensor = ({ values, shape }: Values) => tf.tensor(values.slice(), [...shape]);
  const tensors = tf.tidy(() => {
    const x = tensor(random([s.batch, ...s.size, channels], s.seed));
    const filter = tensor(random([...s.kernel, s.perGroup, s.groups * s.outputs], s.seed + 1));
    const y = runKernel('BnnConv', { x, filter }, attributes);
    const dy = tensor(random(y.shape, s.seed + 2));
    return [
      y,
      runKernel('BnnConvInputGrad', { dy, filter }, { ...attributes, inputShape: x.shape }),
      runKernel('BnnConvFilterGrad', { x, dy }, { ...attributes, filterShape: filter.shape }),
    ];
  });
  const outputs = tensors.map((t) => ({ shape: t.shape, values: t.dataSync() as Float32Array }));
  tf.dispose(tensors);
  return outputs;
}

function bytes(values: Float32Array = new Float32Array(0)): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}

describeNative('BnnConv and its gradients', () => {
  it.each(native.ok ? native.value.isas().split(',') : [])(
    'agree with compositions of plain tfjs operations: %s',
    { timeout: 60_000 },
    async (isa) => {
      if (!native.ok) return;
      const [chosen, threads] = [native.value.isa(), native.value.threads()];
      native.value.setIsa(isa);
      const agrees = async (s: Shape, count: number) => {
        setThreads(count);
        const got = await passes('native', s);
        const want = await passes('cpu', s);
        for (const [i, name] of ['y', 'dx', 'dfilter'].entries()) {
          expect(worstError(got[i], want[i]), name).toBeLessThan(1e-5);
        }
      };
      try {
        await fc.assert(fc.asyncProperty(shapes, fc.integer({ min: 1, max: 3 }), agrees), { numRuns: 60 });
      } finally {
        native.value.setIsa(chosen);
        setThreads(threads);
      }
    },
  );

  it.each([
    ['depthwise', 40, 1],
    ['grouped', 4, 16],
  ])('%s: the same bits every time for a number of threads', async (_, groups, perGroup) => {
    if (!native.ok) return;
    const threads = native.value.threads();
    const common = { batch: 5, size: [16, 16], kernel: [3, 3], strides: [1, 1], dilations: [1, 1] } as const;
    const s = { ...common, pads: [1, 1, 1, 1], groups, perGroup, outputs: perGroup, seed: 1 } as unknown as Shape;
    for (const count of [1, 2, 3]) {
      setThreads(count);
      const first = await passes('native', s);
      for (let i = 0; i < 4; i++) {
        const again = await passes('native', s);
        for (const [k, { values }] of first.entries()) expect(bytes(again[k]?.values).equals(bytes(values))).toBe(true);
      }
    }
    setThreads(threads);
  });

  it('pass NaN to every output that reads it, and to no other', async () => {
    const x = random([1, 6, 6, 4]);
    x.values[0] = Number.NaN;
    const attrs = { strides: 1, pad: 1, dilations: 1, groups: 4 };
    const [y] = await run('native', 'BnnConv', { x, filter: random([3, 3, 1, 8], 2) }, attrs);
    expect(y?.values.filter(Number.isNaN)).toHaveLength(4 * 2);
  });

  it('say which shapes do not fit', async () => {
    const x = random([1, 4, 4, 6]);
    const attrs = { strides: 1, pad: 'same', dilations: 1, groups: 4 };
    const forward = run('native', 'BnnConv', { x, filter: random([3, 3, 1, 8]) }, attrs);
    await expect(forward).rejects.toThrow(BnnError);
    await expect(forward).rejects.toThrow(
      'BnnConv: x [1, 4, 4, 6], filter [3, 3, 1, 8] and 4 groups do not make an NHWC convolution',
    );
    const uneven = { x: random([1, 4, 4, 8]), filter: random([3, 3, 2, 6]) };
    await expect(run('native', 'BnnConv', uneven, attrs)).rejects.toThrow('4 groups do not make');
  });
});

describeNative("tfjs's depthwise convolution agrees with tfjs-backend-cpu", () => {
  describe.each([1, 2])('stride %i', (strides) => {
    it.each([
      [16, 1],
      [5, 3],
    ])('%i channels, %i outputs each', async (channels, multiplier) => {
      const x = random([2, 9, 8, channels]);
      const filter = random([3, 3, channels, multiplier], 2);
      const attrs = { strides, pad: 'same', dilations: 1, dimRoundingMode: undefined };
      expect(await compare('DepthwiseConv2dNative', { x, filter }, attrs)).toBeLessThan(1e-5);
      const [y] = await run('cpu', 'DepthwiseConv2dNative', { x, filter }, attrs);
      const dy = random(y?.shape ?? [], 3);
      const inputShape = { ...attrs, inputShape: x.shape };
      expect(await compare('DepthwiseConv2dNativeBackpropInput', { dy, filter }, inputShape)).toBeLessThan(1e-5);
      const filterShape = { ...attrs, filterShape: filter.shape };
      expect(await compare('DepthwiseConv2dNativeBackpropFilter', { x, dy }, filterShape)).toBeLessThan(1e-5);
    });
  });

  it('with dilations', async () => {
    const inputs = { x: random([2, 9, 8, 6]), filter: random([3, 3, 6, 2], 2) };
    expect(await compare('DepthwiseConv2dNative', inputs, { strides: 1, pad: 'same', dilations: 2 })).toBeLessThan(
      1e-5,
    );
  });
});
