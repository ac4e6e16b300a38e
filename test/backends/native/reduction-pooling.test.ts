import { expect, it } from 'vitest';
import { compare, describeNative, random, run, setThreads, type Values } from './harness.ts';

describeNative('Sum and Mean against tfjs-backend-cpu', () => {
  const cases: readonly (readonly [readonly number[], number | number[]])[] = [
    [[7], 0],
    [
      [3, 4, 5, 6],
      [0, 1, 2, 3],
    ],
    [
      [3, 4, 5, 17],
      [0, 1, 2],
    ],
    [
      [3, 4, 5, 64],
      [1, 2],
    ],
    [
      [3, 4, 5, 6],
      [0, 2],
    ],
    [[6, 10], 1],
    [[6, 10], -1],
    [[6, 10], 0],
    [
      [40, 30, 50],
      [0, 1],
    ],
  ];
  for (const kernel of ['Sum', 'Mean']) {
    for (const keepDims of [false, true]) {
      it.each(cases)(`${kernel} of %j over %j, keepDims ${keepDims}`, async (shape, axis) => {
        setThreads(2);
        expect(await compare(kernel, { x: random(shape) }, { axis, keepDims })).toBeLessThan(1e-5);
      });
    }
  }
});

describeNative('the mean of magnitudes', () => {
  it.each([[[1]], [[3, 3, 16, 33]], [[70_001]]])('of %j against double precision, and its gradient', async (shape) => {
    const x = random(shape);
    x.values[0] = 0;
    const n = x.values.length;
    setThreads(2);
    const [mean] = await run('native', 'BnnMeanMagnitude', { x });
    const want = x.values.reduce((total, v) => total + Math.abs(v), 0) / n;
    expect(mean!.shape).toEqual([]);
    expect(Math.abs(mean!.values[0]! - want)).toBeLessThanOrEqual(1e-6 * want);
    const [dy, sum] = [random([1, 1], 2), random(shape, 3)];
    const share = Math.fround(dy.values[0]! / n);
    const [alone] = await run('native', 'BnnMeanMagnitudeGrad', { x, dy });
    expect(alone!.values).toEqual(x.values.map((v) => Math.fround(Math.sign(v) * share)));
    const [added] = await run('native', 'BnnMeanMagnitudeGrad', { x, dy, sum });
    expect(added!.values).toEqual(x.values.map((v, i) => Math.fround(Math.sign(v) * share) + sum.values[i]!));
  });

  it('says what is wrong with the gradient', async () => {
    const x = random([4]);
    await expect(run('native', 'BnnMeanMagnitudeGrad', { x, dy: x })).rejects.toThrow('dy is [4], expected one number');
    const wrong = { x, dy: random([]), sum: random([5]) };
    await expect(run('native', 'BnnMeanMagnitudeGrad', wrong)).rejects.toThrow(/sum/);
  });
});

describeNative('pooling against tfjs-backend-cpu', () => {
  const cases = [
    { shape: [2, 8, 8, 5], filterSize: 2, strides: 2, pad: 'valid' },
    { shape: [3, 9, 7, 17], filterSize: 3, strides: 2, pad: 'valid' },
    { shape: [1, 6, 6, 32], filterSize: [2, 3], strides: [1, 2], pad: 'valid' },
    { shape: [2, 4, 4, 16], filterSize: 4, strides: 4, pad: 'valid' },
    { shape: [2, 7, 7, 6], filterSize: 3, strides: 2, pad: 'same' },
    { shape: [2, 8, 8, 6], filterSize: 3, strides: 2, pad: 1 },
  ] as const;
  it.each(cases)('%j', async ({ shape, ...attrs }) => {
    for (const threads of [1, 3]) {
      setThreads(threads);
      const x = random(shape);
      expect(await compare('MaxPool', { x }, attrs)).toBe(0);
      expect(await compare('AvgPool', { x }, attrs)).toBeLessThan(1e-6);
      const [y] = await run('cpu', 'MaxPool', { x }, attrs);
      if (y === undefined) throw new Error('no output');
      const dy = random(y.shape, 2);
      expect(await compare('MaxPoolGrad', { dy, input: x, output: y }, attrs)).toBeLessThan(1e-6);
      // tfjs divides by the window size at borders too, which is not the gradient of its own AvgPool.
      if (attrs.pad === 'valid') expect(await compare('AvgPoolGrad', { dy, input: x }, attrs)).toBeLessThan(1e-6);
    }
  });

  it('the gradient of a padded AvgPool is its adjoint: Σ dx · x = Σ dy · y', async () => {
    const attrs = { filterSize: 3, strides: 2, pad: 1 };
    const x = random([2, 7, 9, 6]);
    const [y] = await run('native', 'AvgPool', { x }, attrs);
    const dy = random(y?.shape ?? [], 2);
    const [dx] = await run('native', 'AvgPoolGrad', { dy, input: x }, attrs);
    const dot = (a: Values | undefined, b: Values | undefined) =>
      Array.from(a?.values ?? []).reduce((sum, value, i) => sum + value * (b?.values[i] ?? Number.NaN), 0);
    expect(dot(dx, x)).toBeCloseTo(dot(dy, y), 4);
  });

  it('NaN in a window gives NaN', async () => {
    const x: Values = { shape: [1, 2, 2, 1], values: Float32Array.of(1, Number.NaN, 3, 2) };
    const [y] = await run('native', 'MaxPool', { x }, { filterSize: 2, strides: 2, pad: 'valid' });
    expect(Array.from(y?.values ?? [])).toEqual([Number.NaN]);
  });
});
