import { expect, it } from 'vitest';
import { compare, describeNative, random, run, setThreads, type Values } from './harness.ts';

const SHAPES: readonly (readonly [readonly number[], readonly number[]])[] = [
  [[7], [7]],
  [
    [2, 5, 5, 16],
    [2, 5, 5, 16],
  ],
  [[3, 4, 5], []],
  [[], [3, 4, 5]],
  [[3, 4, 17], [17]],
  [[17], [3, 4, 17]],
  [
    [3, 4, 5],
    [4, 5],
  ],
  [
    [3, 4, 5],
    [1, 1, 5],
  ],
  [
    [2, 3, 4, 5],
    [2, 1, 1, 5],
  ],
  [
    [2, 1, 1, 5],
    [2, 3, 4, 5],
  ],
  [
    [4, 1],
    [1, 6],
  ],
  [[64, 70, 9], [9]],
];

describeNative('arithmetic against tfjs-backend-cpu', () => {
  for (const kernel of ['Add', 'Sub', 'Multiply', 'RealDiv', 'Maximum', 'Minimum']) {
    it.each(SHAPES)(`${kernel} %j, %j`, async (a, b) => {
      setThreads(2);
      expect(await compare(kernel, { a: random(a), b: random(b, 2) }, {}, 'element')).toBeLessThan(1e-6);
    });
  }

  it('keeps NaN and infinities', async () => {
    const values = [Number.NaN, Infinity, -Infinity, 0, 1];
    const all = values.flatMap((a) => values.map((b) => [a, b] as const));
    const a: Values = { shape: [25], values: Float32Array.from(all, ([first]) => first) };
    const b: Values = { shape: [25], values: Float32Array.from(all, ([, second]) => second) };
    for (const kernel of ['Add', 'Sub', 'Multiply', 'RealDiv', 'Maximum', 'Minimum']) {
      const [want] = await run('cpu', kernel, { a, b });
      const [got] = await run('native', kernel, { a, b });
      expect(got?.values, kernel).toEqual(want?.values);
    }
  });

  it('BnnClipGrad is the slope of the clip between its limits, 0 at them; NaN stays', async () => {
    const y: Values = { shape: [7], values: Float32Array.of(-1, 0, 0.5, 6, 7, Number.NaN, Infinity) };
    const dy: Values = { shape: [7], values: Float32Array.of(1, 2, 3, 4, 5, 6, 7) };
    const slopes = async (low: number, high: number) =>
      Array.from((await run('native', 'BnnClipGrad', { y, dy }, { low, high }))[0]?.values ?? []);
    expect(await slopes(0, 6)).toEqual([0, 0, 3, 0, 0, Number.NaN, 0]);
    expect(await slopes(0, Infinity)).toEqual([0, 0, 3, 4, 5, Number.NaN, 7]);
    expect(await slopes(-Infinity, 0)).toEqual([1, 0, 0, 0, 0, Number.NaN, 0]);
    await expect(run('native', 'BnnClipGrad', { y, dy }, { low: 0 })).rejects.toThrow('attribute high is undefined');
  });

  it('Relu, Step, Abs and Sign, with NaN and both zeros', async () => {
    const x: Values = { shape: [6], values: Float32Array.of(-1, -0, 0, 2, Number.NaN, -Infinity) };
    const [relu] = await run('native', 'Relu', { x });
    expect(Array.from(relu?.values ?? [])).toEqual([0, 0, 0, 2, Number.NaN, 0]);
    const [step] = await run('native', 'Step', { x }, { alpha: 0 });
    expect(Array.from(step?.values ?? [])).toEqual([0, 0, 0, 1, Number.NaN, 0]);
    expect(await compare('Abs', { x })).toBe(0);
    expect(await compare('Sign', { x })).toBe(0);
    expect(await compare('Step', { x: random([1000]) }, { alpha: 0.25 })).toBe(0);
    expect(await compare('Relu', { x: random([3, 50000]) })).toBe(0);
    const limits = { clipValueMin: -0.5, clipValueMax: Infinity };
    expect(await compare('ClipByValue', { x: random([3, 50000]) }, limits)).toBe(0);
    expect(await compare('ClipByValue', { x: random([7]) }, { ...limits, clipValueMax: 0.25 })).toBe(0);
  });
});
