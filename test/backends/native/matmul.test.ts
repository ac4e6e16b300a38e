import { expect, it } from 'vitest';
import { compare, describeNative, random, setThreads } from './harness.ts';

describeNative('BatchMatMul against tfjs-backend-cpu', () => {
  const sizes = [
    [1, 1, 1],
    [5, 7, 3],
    [33, 17, 65],
    [128, 10, 64],
    [64, 100, 49],
  ] as const;
  const flags = [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ] as const;
  for (const [m, n, k] of sizes) {
    for (const [transposeA, transposeB] of flags) {
      it(`${m}×${k} by ${k}×${n}, transposed ${transposeA}, ${transposeB}`, async () => {
        for (const threads of [1, 2, 3]) {
          setThreads(threads);
          const a = random(transposeA ? [k, m] : [m, k]);
          const b = random(transposeB ? [n, k] : [k, n], 2);
          expect(await compare('BatchMatMul', { a, b }, { transposeA, transposeB })).toBeLessThan(1e-5);
        }
      });
    }
  }

  it.each([
    [[3], [3]],
    [
      [2, 3],
      [2, 3],
    ],
    [[1], [4]],
    [[4], [1]],
    [
      [2, 3],
      [1, 1],
    ],
    [
      [2, 3],
      [2, 1],
    ],
  ])('batches %j and %j', async (aBatch, bBatch) => {
    const inputs = { a: random([...aBatch, 5, 6]), b: random([...bBatch, 6, 7], 2) };
    expect(await compare('BatchMatMul', inputs, { transposeA: false, transposeB: false })).toBeLessThan(1e-5);
  });
});
