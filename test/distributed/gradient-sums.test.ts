import fc from 'fast-check';
import { expect, it } from 'vitest';
import { GradientSums } from '../../src/training/learning/gradient-sums.ts';
import { loopback } from './loopback.ts';

it('sums arrays of any sizes, step after step, whatever buckets they share', () => {
  const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 60_000, max: 140_000 })), {
    minLength: 1,
    maxLength: 7,
  });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 4 }), (lengths, size) => {
      const sums = loopback(size).map((communicator) => new GradientSums(communicator));
      for (let step = 0; step < 2; step++) {
        for (const [rank, own] of sums.entries()) {
          for (const [k, length] of lengths.entries()) {
            const values = new Float32Array(length).fill(k + 1);
            values[length - 1] = 10 * k + step;
            own.add(`p${k}`, values, rank === 0 ? 3 : 1);
          }
        }
        // All begin before the first waits.
        for (const own of sums) own.flush();
        const factor = size + 2;
        for (const own of sums) {
          const got = own.finish();
          for (const [k, length] of lengths.entries()) {
            const sum = got.get(`p${k}`);
            expect(sum?.length).toBe(length);
            expect(sum?.[length - 1]).toBe(factor * (10 * k + step));
            if (length > 1) expect(sum?.[0]).toBe(factor * (k + 1));
          }
        }
      }
    }),
    { numRuns: 8 },
  );
});
