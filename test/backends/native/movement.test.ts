import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compare, describeNative, random, run, setThreads } from './harness.ts';

const size = fc.integer({ min: 1, max: 9 });
const shapes = fc.array(size, { minLength: 1, maxLength: 4 });

describeNative('copies against tfjs-backend-cpu', () => {
  it('Transpose by any permutation', async () => {
    const cases = shapes.chain((shape) =>
      fc.record({
        shape: fc.constant(shape),
        perm: fc.shuffledSubarray(
          shape.map((_, i) => i),
          { minLength: shape.length },
        ),
      }),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ({ shape, perm }) => {
        expect(await compare('Transpose', { x: random(shape) }, { perm })).toBe(0);
      }),
      { numRuns: 60, seed: 1 },
    );
  });

  it('Transpose between NHWC and NCHW of a batch', async () => {
    setThreads(2);
    expect(await compare('Transpose', { x: random([16, 20, 24, 33]) }, { perm: [0, 3, 1, 2] })).toBe(0);
    expect(await compare('Transpose', { x: random([16, 33, 20, 24]) }, { perm: [0, 2, 3, 1] })).toBe(0);
    expect(await compare('Transpose', { x: random([300, 500]) }, { perm: [1, 0] })).toBe(0);
  });

  it('PadV2', async () => {
    const cases = fc.array(fc.record({ n: size, before: fc.nat(3), after: fc.nat(3) }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(cases, fc.constantFrom(0, -1.5), async (dims, constantValue) => {
        const paddings = dims.map(({ before, after }) => [before, after]);
        const x = random(dims.map(({ n }) => n));
        expect(await compare('PadV2', { x }, { paddings, constantValue })).toBe(0);
      }),
      { numRuns: 40, seed: 1 },
    );
  });

  it('Slice', async () => {
    const dimension = size.chain((n) =>
      fc
        .nat(n - 1)
        .chain((begin) => fc.record({ n: fc.constant(n), begin: fc.constant(begin), length: fc.nat(n - begin) })),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(dimension, { minLength: 1, maxLength: 4 }), async (dims) => {
        const attrs = { begin: dims.map((d) => d.begin), size: dims.map((d) => d.length) };
        expect(await compare('Slice', { x: random(dims.map((d) => d.n)) }, attrs)).toBe(0);
      }),
      { numRuns: 60, seed: 1 },
    );
  });

  it.each([
    { shape: [10], begin: [1], end: [9], strides: [3] },
    { shape: [6, 8], begin: [5, 0], end: [0, 8], strides: [-2, 1] },
    { shape: [2, 8, 8, 5], begin: [0, 0, 0, 0], end: [2, 8, 8, 5], strides: [1, 2, 2, 1] },
    { shape: [4, 5, 6], begin: [0, 4, 1], end: [4, 0, 6], strides: [2, -1, 2] },
  ])('StridedSlice %j', async ({ shape, ...given }) => {
    const masks = { beginMask: 0, endMask: 0, ellipsisMask: 0, newAxisMask: 0, shrinkAxisMask: 0 };
    expect(await compare('StridedSlice', { x: random(shape) }, { ...masks, ...given })).toBe(0);
  });

  // tfjs-backend-cpu forgets the dropped dimension here and reads other elements, so the expectation is written out.
  it('StridedSlice that drops a dimension: x[1, 0:5:2]', async () => {
    const x = { shape: [4, 5], values: Float32Array.from({ length: 20 }, (_, i) => i) };
    const masks = { beginMask: 0, endMask: 0, ellipsisMask: 0, newAxisMask: 0, shrinkAxisMask: 1 };
    const [y] = await run('native', 'StridedSlice', { x }, { begin: [1, 0], end: [2, 5], strides: [1, 2], ...masks });
    expect(y).toEqual({ shape: [3], values: Float32Array.of(5, 7, 9) });
  });

  it.each([
    [
      [
        [2, 3],
        [4, 3],
      ],
      0,
    ],
    [
      [
        [2, 3, 4, 5],
        [2, 3, 4, 7],
        [2, 3, 4, 1],
      ],
      3,
    ],
    [
      [
        [2, 3, 4],
        [2, 1, 4],
      ],
      1,
    ],
    [
      [
        [2, 3, 4],
        [2, 1, 4],
      ],
      -2,
    ],
  ] as const)('Concat %j along %j', async (parts, axis) => {
    const tensors = parts.map((shape, i) => random(shape, i + 1));
    const inputs = Object.fromEntries(tensors.map((part, i) => [String(i), part]));
    expect(await compare('Concat', inputs, { axis })).toBe(0);
  });

  it('Tile along dimensions of size 1, and others through tfjs-backend-cpu', async () => {
    expect(await compare('Tile', { x: random([3, 1, 1, 5]) }, { reps: [1, 4, 6, 1] })).toBe(0);
    expect(await compare('Tile', { x: random([3, 2]) }, { reps: [2, 3] })).toBe(0);
  });

  it('every other kernel of tfjs-backend-cpu is there', async () => {
    await run('native', 'Relu', { x: random([3]) });
    const names = tf.getKernelsForBackend('cpu').map((kernel) => kernel.kernelName);
    expect(names.length).toBeGreaterThan(150);
    expect(names.filter((name) => tf.getKernel(name, 'native') === undefined)).toEqual([]);
  });
});
