import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BnnError } from '../../../src/errors.ts';
import { createReste } from '../../../src/estimators/reste.ts';
import { createSte } from '../../../src/estimators/ste.ts';
import { describeNative, native, random, randomSigns, run, setThreads, type Values, worstError } from './harness.ts';

interface Case {
  readonly x: Values;
  readonly filter: Values;
  readonly dy: Values;
  readonly attrs: object;
}

/** sign(x) as the operator defines it. */
function signs({ shape, values }: Values): Values {
  return { shape, values: values.map((v) => (v >= 0 ? 1 : -1)) };
}

const sizes = fc.record({
  batch: fc.integer({ min: 1, max: 3 }),
  height: fc.integer({ min: 1, max: 13 }),
  width: fc.integer({ min: 1, max: 13 }),
  from: fc.constantFrom(1, 3, 8, 16, 17, 33),
  to: fc.constantFrom(1, 5, 16, 32, 40),
  kernel: fc.constantFrom(1, 2, 3),
  stride: fc.constantFrom(1, 2),
  pad: fc.constantFrom('same', 'valid', 1) as fc.Arbitrary<'same' | 'valid' | 1>,
  seed: fc.integer({ min: 1, max: 1000 }),
});
type Sizes = typeof sizes extends fc.Arbitrary<infer T> ? T : never;

async function createCase(s: Sizes): Promise<Case | null> {
  if (s.pad === 'valid' && (s.kernel > s.height || s.kernel > s.width)) return null;
  const pad =
    s.pad === 1
      ? [
          [0, 0],
          [1, 1],
          [1, 1],
          [0, 0],
        ]
      : s.pad;
  const explicitFits = s.height + 2 >= s.kernel && s.width + 2 >= s.kernel;
  if (s.pad === 1 && !explicitFits) return null;
  const attrs = { strides: [s.stride, s.stride], pad, dataFormat: 'NHWC', dilations: [1, 1] };
  const x = random([s.batch, s.height, s.width, s.from], s.seed);
  // Zeros of both signs, and a value on either side of every threshold.
  x.values.set([0, -0, 1.5, -0.1].slice(0, x.values.length));
  const filter = randomSigns([s.kernel, s.kernel, s.from, s.to], s.seed);
  const [y] = await run('cpu', 'Conv2D', { x, filter }, attrs);
  return { x, filter, dy: random(y?.shape ?? [], s.seed + 1), attrs };
}

const fast = { numRuns: 60 };

describeNative('BnnBinaryConv and its gradients agree with plain tfjs operations', () => {
  it.each(native.ok ? native.addon.isas().split(',') : [])('forward: exactly, with %s', async (isa) => {
    if (!native.ok) return;
    const chosen = native.addon.isa();
    // Bits where all weights are ±1, floats where one is not.
    const agrees = async (s: Sizes, weight: number) => {
      const c = await createCase(s);
      if (c === null) return;
      c.filter.values[c.filter.values.length - 1] = weight;
      const want = await run('cpu', 'Conv2D', { x: signs(c.x), filter: c.filter }, c.attrs);
      const got = await run('native', 'BnnBinaryConv', { x: c.x, filter: c.filter }, c.attrs);
      expect(got).toEqual(want);
    };
    native.addon.setIsa(isa);
    try {
      await fc.assert(fc.asyncProperty(sizes, fc.constantFrom(-1, 1, 0.5), agrees), fast);
    } finally {
      native.addon.setIsa(chosen);
    }
  });

  it('input gradient: straight-through and ReSTE', async () => {
    const agrees = async (s: Sizes, o: number) => {
      const c = await createCase(s);
      if (c === null) return;
      const estimator = o === 0 ? createSte(0.7) : createReste(o);
      const inputShape = c.x.shape;
      const [dsigns] = await run(
        'cpu',
        'Conv2DBackpropInput',
        { dy: c.dy, filter: c.filter },
        { ...c.attrs, inputShape },
      );
      const values = Float32Array.from(dsigns?.values ?? [], (d, i) => d * estimator.factor(c.x.values[i] ?? 0));
      const attrs = { ...c.attrs, ...estimator.attributes };
      const got = await run('native', 'BnnBinaryConvInputGrad', { dy: c.dy, filter: c.filter, x: c.x }, attrs);
      expect(worstError(got[0], { shape: inputShape, values })).toBeLessThan(1e-5);
    };
    await fc.assert(fc.asyncProperty(sizes, fc.constantFrom(0, 1, 1.3, 3), agrees), fast);
  });

  it('input gradient added to another', async () => {
    const agrees = async (s: Sizes) => {
      const c = await createCase(s);
      if (c === null) return;
      const attrs = { ...c.attrs, ...createReste(3).attributes };
      const inputs = { dy: c.dy, filter: c.filter, x: c.x };
      const sum = random(c.x.shape, s.seed + 2);
      const [alone] = await run('native', 'BnnBinaryConvInputGrad', inputs, attrs);
      const values = sum.values.map((v, i) => v + (alone?.values[i] ?? Number.NaN));
      const got = await run('native', 'BnnBinaryConvInputGrad', { ...inputs, sum }, attrs);
      expect(got).toEqual([{ shape: c.x.shape, values }]);
    };
    await fc.assert(fc.asyncProperty(sizes, agrees), fast);
  });

  it('filter gradient', async () => {
    const agrees = async (s: Sizes) => {
      const c = await createCase(s);
      if (c === null) return;
      const attrs = { ...c.attrs, filterShape: c.filter.shape };
      const want = await run('cpu', 'Conv2DBackpropFilter', { x: signs(c.x), dy: c.dy }, attrs);
      const got = await run('native', 'BnnBinaryConvFilterGrad', { x: c.x, dy: c.dy }, attrs);
      expect(worstError(got[0], want[0])).toBeLessThan(1e-5);
    };
    await fc.assert(fc.asyncProperty(sizes, agrees), fast);
  });
});

describeNative('BnnBinaryConv', () => {
  const typical: Sizes = {
    batch: 3,
    height: 8,
    width: 8,
    from: 33,
    to: 40,
    kernel: 3,
    stride: 1,
    pad: 'same',
    seed: 5,
  };

  it('gives the same bits every time for a number of threads, and the same up to rounding for another', async () => {
    const c = await createCase(typical);
    if (c === null || !native.ok) throw new Error('no case');
    const attrs = { ...c.attrs, filterShape: c.filter.shape };
    const gradient = async () => (await run('native', 'BnnBinaryConvFilterGrad', { x: c.x, dy: c.dy }, attrs))[0];
    const threads = native.addon.threads();
    setThreads(2);
    const first = await gradient();
    for (let i = 0; i < 5; i++) expect((await gradient())?.values).toEqual(first?.values);
    setThreads(1);
    expect(worstError(await gradient(), first)).toBeLessThan(1e-5);
    setThreads(threads);
  });

  it('takes NaN for −1, as bnn.Sign does, while its gradient stays NaN', async () => {
    const x = { shape: [1, 1, 1, 2], values: Float32Array.of(Number.NaN, 2) };
    const filter = { shape: [1, 1, 2, 1], values: Float32Array.of(1, 1) };
    const dy = { shape: [1, 1, 1, 1], values: Float32Array.of(1) };
    const attrs = { strides: 1, pad: 'valid', dilations: 1 };
    const [y] = await run('native', 'BnnBinaryConv', { x, filter }, attrs);
    expect(Array.from(y?.values ?? [])).toEqual([0]);
    const [dx] = await run(
      'native',
      'BnnBinaryConvInputGrad',
      { dy, filter, x },
      { ...attrs, ...createReste(3).attributes },
    );
    expect(Array.from(dx?.values ?? [])).toEqual([Number.NaN, 0]);
  });

  it('says which shape does not fit', async () => {
    const x = random([1, 4, 4, 3]);
    const attrs = { strides: 1, pad: 'same', dilations: 1 };
    await expect(run('native', 'BnnBinaryConv', { x, filter: random([3, 3, 4, 8]) }, attrs)).rejects.toThrow(BnnError);
    const bad = { dy: random([1, 3, 4, 8]), filter: random([3, 3, 3, 8]), x };
    await expect(run('native', 'BnnBinaryConvInputGrad', bad, { ...attrs, estimator: 'ste', clip: 1 })).rejects.toThrow(
      'expected [1, 4, 4, 8]',
    );
    const sum = { dy: random([1, 4, 4, 8]), filter: random([3, 3, 3, 8]), x, sum: random([1, 4, 4, 1]) };
    await expect(run('native', 'BnnBinaryConvInputGrad', sum, { ...attrs, estimator: 'ste', clip: 1 })).rejects.toThrow(
      'sum is [1, 4, 4, 1], expected [1, 4, 4, 3]',
    );
  });
});

describeNative('convolutions take pixels of several rows in one tile', () => {
  // Widths that are multiples of four, and rows too short for a tile.
  it.each([4, 8, 12, 16, 20])('width %i', async (width) => {
    const attrs = { strides: 1, pad: 'same', dilations: 1, dataFormat: 'NHWC' };
    const x = random([3, 5, width, 7]);
    const filter = random([3, 3, 7, 40]);
    const want = await run('cpu', 'Conv2D', { x, filter }, attrs);
    const got = await run('native', 'Conv2D', { x, filter }, attrs);
    expect(worstError(got[0], want[0])).toBeLessThan(1e-5);
  });
});
