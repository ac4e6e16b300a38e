import { expect, it } from 'vitest';
import { describeNative, random, run, setThreads, type Values } from './harness.ts';

interface Reference {
  y: number[];
  mean: number[];
  variance: number[];
}

/** The forward definition in double precision. */
function forward(
  x: ArrayLike<number>,
  c: number,
  scale: ArrayLike<number>,
  gamma: Values,
  beta: Values,
  relu: boolean,
): Reference {
  const rows = x.length / c;
  const r = Array.from(x, (value, i) => {
    const z = value * (scale[scale.length === 1 ? 0 : i % c] ?? Number.NaN);
    return relu ? Math.max(z, 0) : z;
  });
  const mean = new Array<number>(c).fill(0);
  const variance = new Array<number>(c).fill(0);
  for (const [i, value] of r.entries()) mean[i % c]! += value / rows;
  for (const [i, value] of r.entries()) variance[i % c]! += (value - mean[i % c]!) ** 2 / rows;
  const y = r.map((value, i) => {
    const j = i % c;
    return (gamma.values[j]! * (value - mean[j]!)) / Math.sqrt(variance[j]! + 1e-5) + beta.values[j]!;
  });
  return { y, mean, variance };
}

function worst(got: Values | undefined, want: readonly number[]): number {
  expect(got?.values.length).toBe(want.length);
  return Math.max(...want.map((w, i) => Math.abs((got?.values[i] ?? Number.NaN) - w) / (1 + Math.abs(w))));
}

const CASES = [
  { shape: [4, 5, 6, 16], scale: 'none', relu: false },
  { shape: [4, 5, 6, 16], scale: 'scalar', relu: true },
  { shape: [3, 4, 4, 33], scale: 'vector', relu: true },
  { shape: [50, 7], scale: 'vector', relu: false },
  { shape: [9, 9, 9, 64], scale: 'none', relu: true },
  { shape: [300, 1], scale: 'scalar', relu: false },
] as const;

function inputsOf({ shape, scale }: (typeof CASES)[number]) {
  const c = shape[shape.length - 1] ?? 1;
  const x = random(shape);
  const gamma = random([c], 2);
  const beta = random([c], 3);
  const scaleInput: Values | undefined =
    scale === 'none'
      ? undefined
      : scale === 'scalar'
        ? { shape: [], values: Float32Array.of(0.75) }
        : { shape: [c], values: random([c], 4).values.map((v) => v + 1.5) };
  return { c, x, gamma, beta, scaleInput, withScale: scaleInput === undefined ? {} : { scale: scaleInput } };
}

/** What BnnBatchNormTrain wants besides. */
const KEEP = 0.9;
const running = (c: number) => ({ runningMean: random([c], 7), runningVariance: random([c], 8) });

describeNative('batch normalization', () => {
  it.each(CASES)('BnnBatchNormTrain and BnnBatchNormInfer %j', async (spec) => {
    const { c, x, gamma, beta, scaleInput, withScale } = inputsOf(spec);
    const attrs = { epsilon: 1e-5, relu: spec.relu, keep: KEEP };
    const want = forward(x.values, c, scaleInput?.values ?? [1], gamma, beta, spec.relu);
    for (const threads of [1, 2, 3]) {
      setThreads(threads);
      const trained = { x, gamma, beta, ...running(c), ...withScale };
      const [y, mean, variance] = await run('native', 'BnnBatchNormTrain', trained, attrs);
      expect(worst(y, want.y)).toBeLessThan(1e-5);
      expect(worst(mean, want.mean)).toBeLessThan(1e-6);
      expect(worst(variance, want.variance)).toBeLessThan(1e-6);
      const statistics = { mean: mean!, variance: variance! };
      const [inferred] = await run(
        'native',
        'BnnBatchNormInfer',
        { x, gamma, beta, ...statistics, ...withScale },
        attrs,
      );
      expect(worst(inferred, want.y)).toBeLessThan(1e-5);
      const residual = random(spec.shape, 6);
      const sum = Array.from(y!.values, (v, i) => Math.fround(v + residual.values[i]!));
      const inputs = { x, gamma, beta, residual, ...withScale };
      const added = await run('native', 'BnnBatchNormTrain', { ...inputs, ...running(c) }, attrs);
      expect(worst(added[0], sum)).toBe(0);
      const [addedInferred] = await run('native', 'BnnBatchNormInfer', { ...inputs, ...statistics }, attrs);
      expect(worst(addedInferred, sum)).toBe(0);
    }
  });

  it('says which shape a residual has', async () => {
    const inputs = { x: random([2, 3, 3, 4]), gamma: random([4]), beta: random([4]), residual: random([2, 3, 3, 1]) };
    await expect(
      run('native', 'BnnBatchNormTrain', { ...inputs, ...running(4) }, { epsilon: 1e-5, relu: false, keep: KEEP }),
    ).rejects.toThrow('residual is [2, 3, 3, 1], expected [2, 3, 3, 4]');
  });

  it.each(CASES)('BnnBatchNormGrad against central differences in double precision %j', async (spec) => {
    const { c, x, gamma, beta, scaleInput, withScale } = inputsOf(spec);
    const dy = random(spec.shape, 5);
    const attrs = { epsilon: 1e-5, relu: spec.relu, keep: KEEP };
    setThreads(2);
    const trained = { x, gamma, beta, ...running(c), ...withScale };
    const [, mean, variance] = await run('native', 'BnnBatchNormTrain', trained, attrs);
    const inputs = { x, dy, gamma, mean: mean!, variance: variance!, ...withScale };
    const [dx, dgamma, dbeta, dscale] = await run('native', 'BnnBatchNormGrad', inputs, attrs);
    const scale = scaleInput?.values ?? Float32Array.of(1);

    const loss = (xs: ArrayLike<number>, scales: ArrayLike<number>, gammas: Values, betas: Values): number =>
      forward(xs, c, scales, gammas, betas, spec.relu).y.reduce((sum, y, i) => sum + y * dy.values[i]!, 0);
    const difference = (values: ArrayLike<number>, i: number, f: (moved: Float64Array) => number): number => {
      const step = 1e-5;
      const moved = Float64Array.from(values);
      moved[i]! += step;
      const up = f(moved);
      moved[i]! -= 2 * step;
      return (up - f(moved)) / (2 * step);
    };
    const asValues = (values: Float64Array): Values => ({ shape: [c], values: values as unknown as Float32Array });
    const near = (got: number | undefined, want: number) =>
      expect(Math.abs(got! - want)).toBeLessThan(2e-4 * (1 + Math.abs(want)));
    for (let k = 0; k < 12; k++) {
      const i = Math.floor((k * 7919) % x.values.length);
      near(
        dx?.values[i],
        difference(x.values, i, (moved) => loss(moved, scale, gamma, beta)),
      );
      const j = k % c;
      near(
        dgamma?.values[j],
        difference(gamma.values, j, (moved) => loss(x.values, scale, asValues(moved), beta)),
      );
      near(
        dbeta?.values[j],
        difference(beta.values, j, (moved) => loss(x.values, scale, gamma, asValues(moved))),
      );
      if (scaleInput === undefined) continue;
      const s = k % scale.length;
      near(
        dscale?.values[s],
        difference(scale, s, (moved) => loss(x.values, moved, gamma, beta)),
      );
    }
    expect(dscale?.shape).toEqual(scaleInput?.shape);
  });

  it('the variance keeps its accuracy far from zero', async () => {
    const n = 200_000;
    const x: Values = { shape: [n, 3], values: random([n, 3]).values.map((v, i) => 1000 + (i % 3) + v * 0.25) };
    const ones = { shape: [3], values: Float32Array.of(1, 1, 1) };
    const want = forward(x.values, 3, [1], ones, ones, false);
    const [, mean, variance] = await run(
      'native',
      'BnnBatchNormTrain',
      { x, gamma: ones, beta: ones, ...running(3) },
      { epsilon: 1e-5, relu: false, keep: KEEP },
    );
    for (let c = 0; c < 3; c++) {
      expect(Math.abs(variance!.values[c]! / want.variance[c]! - 1)).toBeLessThan(1e-6);
      expect(Math.abs(mean!.values[c]! / want.mean[c]! - 1)).toBeLessThan(1e-7);
    }
  });

  it('running statistics round as separate operations do', async () => {
    const inputs = { x: random([7, 33]), gamma: random([33], 2), beta: random([33], 3), ...running(33) };
    const attrs = { epsilon: 1e-5, relu: false, keep: KEEP };
    const [, mean, variance, newMean, newVariance] = await run('native', 'BnnBatchNormTrain', inputs, attrs);
    const moved = (average: Values, now: Values, take: number) =>
      average.values.map(
        (v, i) => Math.fround(v * Math.fround(KEEP)) + Math.fround((now.values[i] ?? Number.NaN) * Math.fround(take)),
      );
    expect(newMean).toEqual({ shape: [33], values: moved(inputs.runningMean, mean!, 1 - KEEP) });
    expect(newVariance!.values).toEqual(moved(inputs.runningVariance, variance!, (1 - KEEP) * (7 / 6)));
    const wrong = { ...inputs, runningMean: random([32]) };
    await expect(run('native', 'BnnBatchNormTrain', wrong, attrs)).rejects.toThrow(/runningMean/);
  });

  it('no gradient passes where relu was exactly zero', async () => {
    const x: Values = { shape: [4, 1], values: Float32Array.of(0, -1, 1, 2) };
    const one: Values = { shape: [1], values: Float32Array.of(1) };
    const inputs = { x, dy: random([4, 1]), gamma: one, mean: one, variance: one };
    const [dx] = await run('native', 'BnnBatchNormGrad', inputs, { epsilon: 1e-5, relu: true });
    expect(Array.from(dx?.values ?? []).map((v) => v === 0)).toEqual([true, true, false, false]);
  });

  it('keeps NaN, and refuses a gamma or scale of the wrong size', async () => {
    const c3 = random([3]);
    const x = random([5, 3]);
    x.values[4] = Number.NaN;
    const inputs = { x, gamma: c3, beta: c3, ...running(3) };
    const attrs = { epsilon: 1e-5, relu: true, keep: KEEP };
    const [y] = await run('native', 'BnnBatchNormTrain', inputs, attrs);
    expect(Array.from(y?.values ?? []).map(Number.isNaN)).toEqual(Array.from(x.values, (_, i) => i % 3 === 1));
    await expect(run('native', 'BnnBatchNormTrain', { ...inputs, gamma: random([4]) }, attrs)).rejects.toThrow(
      /input gamma is \[4\], expected one number for each of 3 channels/,
    );
    await expect(run('native', 'BnnBatchNormTrain', { ...inputs, scale: random([2]) }, attrs)).rejects.toThrow(
      /input scale is \[2\]/,
    );
  });
});
