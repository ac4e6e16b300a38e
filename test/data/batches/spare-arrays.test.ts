import { expect, it } from 'vitest';
import { SpareArrays } from '../../../src/data/batches/spare-arrays.ts';

it('keeps a few arrays, the latest: batches without their broken pictures have sizes that nobody asks for', () => {
  const spare = new SpareArrays();
  const usual = new ArrayBuffer(100);
  spare.add(usual);
  expect(spare.take(99)).toBeUndefined();
  expect(spare.take(100)).toBe(usual);
  expect(spare.take(100)).toBeUndefined();
  for (let bytes = 1; bytes <= 50; bytes++) spare.add(new ArrayBuffer(bytes));
  spare.add(usual);
  const kept = Array.from({ length: 50 }, (_, i) => spare.take(i + 1)).filter((buffer) => buffer !== undefined);
  expect(kept.length).toBeLessThan(8);
  expect(spare.take(100)).toBe(usual);
});
