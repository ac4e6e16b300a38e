import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BnnError } from '../../../src/errors.ts';
import { approxSignSchedule } from '../../../src/estimators/approx-sign.ts';
import { createDsq } from '../../../src/estimators/dsq.ts';
import { createEde } from '../../../src/estimators/ede.ts';
import { createFda } from '../../../src/estimators/fda.ts';
import { createRbnn } from '../../../src/estimators/rbnn.ts';
import { createReste } from '../../../src/estimators/reste.ts';
import { createSte } from '../../../src/estimators/ste.ts';
import { createSwishSign } from '../../../src/estimators/swish-sign.ts';
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

/** Estimators whose slope is a table, blunt and sharp. */
const TABLES = {
  'approx-sign': approxSignSchedule().at(0, 1),
  'swish-sign': createSwishSign(5),
  'ede, t = 0.1': createEde(0.1),
  'ede, t = 10': createEde(10),
  dsq: createDsq(0.2),
  fda: createFda(3),
  rbnn: createRbnn(2, 'activation'),
} as const;

describeNative('BnnBinaryConv and its gradients agree with plain tfjs operations', () => {
  it.each(native.ok ? native.value.isas().split(',') : [])('forward: exactly, with %s', async (isa) => {
    if (!native.ok) return;
    const chosen = native.value.isa();
    // Bits where all weights are ±1, floats where one is not.
    const agrees = async (s: Sizes, weight: number) => {
      const c = await createCase(s);
      if (c === null) return;
      c.filter.values[c.filter.values.length - 1] = weight;
      const want = await run('cpu', 'Conv2D', { x: signs(c.x), filter: c.filter }, c.attrs);
      const got = await run('native', 'BnnBinaryConv', { x: c.x, filter: c.filter }, c.attrs);
      expect(got).toEqual(want);
    };
    native.value.setIsa(isa);
    try {
      await fc.assert(fc.asyncProperty(sizes, fc.constantFrom(-1, 1, 0.5), agrees), fast);
    } finally {
      native.value.setIsa(chosen);
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

  it.each(Object.entries(TABLES))('input gradient: %s, a table, added to another', async (_, estimator) => {
    if (!native.ok) return;
    const chosen = native.value.isa();
    const table = estimator.attributes;
    if (table?.estimator !== 'table') throw new Error('no table');
    const agrees = async (s: Sizes, isa: string) => {
      const c = await createCase(s);
      if (c === null || !native.ok) return;
      native.value.setIsa(isa);
      const { x, dy, filter } = c;
      const inputShape = x.shape;
      const sum = random(inputShape, s.seed + 2);
      const convolution = { ...c.attrs, inputShape };
      const attrs = { ...c.attrs, ...table };
      const fused = await run('native', 'BnnBinaryConvInputGrad', { dy, filter, x, sum }, attrs);
      // The same bits as one kernel after the other.
      const [dsigns] = await run('native', 'Conv2DBackpropInput', { dy, filter }, convolution);
      const [dx] = await run('native', 'BnnSignGradTable', { x, dy: dsigns as Values }, table);
      expect(fused).toEqual(await run('native', 'Add', { a: sum, b: dx as Values }));
      // And the slope is the estimator's: inside of every clip the difference quotient of what stands for sign.
      const [exact] = await run('cpu', 'Conv2DBackpropInput', { dy, filter }, convolution);
      const h = 1e-4;
      for (const [i, z] of x.values.entries()) {
        const d = exact?.values[i] ?? Number.NaN;
        const got = (fused[0]?.values[i] ?? Number.NaN) - (sum.values[i] ?? Number.NaN);
        const bound = 1e-5 * estimator.factor(0) * (1 + Math.abs(d)) + 1e-6;
        expect(Math.abs(got - d * estimator.factor(z)), `at ${z}`).toBeLessThan(bound);
        if (Math.abs(z) > 1 - h) continue;
        const bend = Math.max(...[-h, h].map((step) => Math.abs(estimator.factor(z + step) - estimator.factor(z))));
        const quotient = (estimator.surrogate(z + h) - estimator.surrogate(z - h)) / (2 * h);
        expect(Math.abs(got - d * quotient), `quotient at ${z}`).toBeLessThan(bound + Math.abs(d) * bend);
      }
    };
    try {
      const isas = fc.constantFrom(...native.value.isas().split(','));
      await fc.assert(fc.asyncProperty(sizes, isas, agrees), { numRuns: 20 });
    } finally {
      native.value.setIsa(chosen);
    }
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
    const threads = native.value.threads();
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

  it('refuses a slope that is none', async () => {
    const x = random([1, 4, 4, 3]);
    const inputs = { dy: random([1, 4, 4, 8]), filter: random([3, 3, 3, 8]), x };
    const attrs = { strides: 1, pad: 'same', dilations: 1 };
    const pieces = new Float32Array(2);
    const cases = [
      [{ estimator: 'spline' }, "estimator is spline, expected 'ste', 'reste' or 'table'"],
      [{ estimator: 'table', limit: 1 }, 'pieces is no Float32Array'],
      [{ estimator: 'table', pieces }, 'attribute limit is undefined'],
      [{ estimator: 'table', pieces, limit: 0 }, 'not a limit'],
      [{ estimator: 'table', pieces: pieces.subarray(1), limit: 1 }, 'not a table of pairs'],
    ] as const;
    for (const [slope, text] of cases) {
      await expect(run('native', 'BnnBinaryConvInputGrad', inputs, { ...attrs, ...slope })).rejects.toThrow(text);
    }
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
