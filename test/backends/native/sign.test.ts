import { describe, expect, it } from 'vitest';
import { describeNative, native, random, run, type Values } from './harness.ts';

function row(...values: number[]): Values {
  return { shape: [values.length], values: Float32Array.from(values) };
}

/** ReSTE's surrogate in double precision; t and m as float32 numbers (arXiv:2308.06689). */
function reste(x: number, o: number, t: number, m: number): number {
  const a = Math.abs(x);
  if (a > Math.fround(t)) return 0;
  if (o === 1) return 1;
  return a <= Math.fround(m) ? Math.fround(m) ** ((1 - o) / o) : a ** ((1 - o) / o) / o;
}

describeNative('BnnSign', () => {
  it('is +1 from zero on, else −1, also for NaN', async () => {
    const [y] = await run('native', 'BnnSign', { x: row(-2, -0, 0, 1e-30, -1e-30, Number.NaN, Infinity) });
    expect(Array.from(y?.values ?? [])).toEqual([-1, 1, 1, 1, -1, -1, 1]);
  });
});

describeNative('BnnSignGrad', () => {
  const isas = native.ok ? native.value.isas().split(',') : [];
  describe.each(isas)('%s', (isa) => {
    it.each([1, 1.02, 1.5, 2, 3, 10])('reste, o = %f: relative error at most 2e-6 over [1e-30, 2]', async (o) => {
      if (!native.ok) return;
      const chosen = native.value.isa();
      native.value.setIsa(isa);
      const n = 60000;
      // Logarithmically spaced magnitudes from far below m to beyond t, both signs.
      for (const m of [0.1, 1e-30]) {
        const x = Float32Array.from({ length: n }, (_, i) => (i % 2 === 0 ? 1 : -1) * m * 0.5 * (4 / m) ** (i / n));
        const dy = Float32Array.from({ length: n }, (_, i) => (i % 3 === 0 ? -1 : 0.75));
        const inputs = { x: { shape: [n], values: x }, dy: { shape: [n], values: dy } };
        const [dx] = await run('native', 'BnnSignGrad', inputs, { estimator: 'reste', o, t: 1.5, m });
        let worst = 0;
        for (let i = 0; i < n; i++) {
          const want = (dy[i] ?? 0) * reste(x[i] ?? 0, o, 1.5, m);
          const got = dx?.values[i] ?? Number.NaN;
          worst = Math.max(worst, want === 0 ? Math.abs(got) : Math.abs(got / want - 1));
        }
        expect(worst).toBeLessThan(2e-6);
      }
      native.value.setIsa(chosen);
    });
  });

  it('reste compares with t and m as float32 numbers, and 0 lies in the inner part', async () => {
    const m = Math.fround(0.1);
    const above = m + 2 ** -27;
    const x = row(m, above, 1.5, 1.5000001, 0, -0);
    const [dx] = await run(
      'native',
      'BnnSignGrad',
      { x, dy: row(1, 1, 1, 1, 1, 1) },
      { estimator: 'reste', o: 3, t: 1.5, m: 0.1 },
    );
    const [atM, aboveM, atT, aboveT, atZero, atMinusZero] = Array.from(dx?.values ?? []);
    expect(atM).toBeCloseTo(m ** (-2 / 3), 5);
    expect(aboveM).toBeCloseTo(above ** (-2 / 3) / 3, 5);
    expect(atT).toBeCloseTo(1.5 ** (-2 / 3) / 3, 6);
    expect(aboveT).toBe(0);
    expect(atZero).toBe(atM);
    expect(atMinusZero).toBe(atM);
  });

  it('ste passes dy inside the clip, everything without one', async () => {
    const x = row(-1.5, -1, 0, 1, 1.0000001, 3);
    const dy = row(1, 2, 3, 4, 5, 6);
    const [clipped] = await run('native', 'BnnSignGrad', { x, dy }, { estimator: 'ste', clip: 1 });
    expect(Array.from(clipped?.values ?? [])).toEqual([0, 2, 3, 4, 0, 0]);
    const [identity] = await run('native', 'BnnSignGrad', { x, dy }, { estimator: 'ste', clip: Infinity });
    expect(Array.from(identity?.values ?? [])).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('keeps NaN of x and of dy', async () => {
    const attrs = { estimator: 'reste', o: 3, t: 1.5, m: 0.1 };
    const [dx] = await run('native', 'BnnSignGrad', { x: row(Number.NaN, 1), dy: row(1, Number.NaN) }, attrs);
    expect(Array.from(dx?.values ?? [])).toEqual([Number.NaN, Number.NaN]);
  });

  it('refuses what it does not know', async () => {
    const x = random([4]);
    await expect(run('native', 'BnnSignGrad', { x, dy: x }, { estimator: 'magic' })).rejects.toThrow(
      /estimator is magic/,
    );
    await expect(run('native', 'BnnSignGrad', { x, dy: random([5]) }, { estimator: 'ste', clip: 1 })).rejects.toThrow(
      /input dy is \[5\], expected \[4\]/,
    );
    await expect(run('native', 'BnnSignGrad', { x, dy: x }, { estimator: 'ste' })).rejects.toThrow(/clip is undefined/);
  });
});
