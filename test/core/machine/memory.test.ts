import { totalmem } from 'node:os';
import { expect, test } from 'vitest';
import { formatGigabytes, fromFailedAllocation, usableMemory } from '../../../src/core/machine/memory.ts';
import { BnnError } from '../../../src/errors.ts';

/** What the engine itself throws. */
function failureOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('it worked');
}

test.each<[string, () => unknown]>([
  ['a typed array', () => new Float32Array(2 ** 60)],
  ['a buffer', () => new ArrayBuffer(2 ** 52)],
  ['an array', () => new Array(2 ** 32)],
  ['a text', () => 'x'.repeat(2 ** 30)],
])('%s for which there is no memory is no bug', (_, work) => {
  const cause = failureOf(work);
  expect(fromFailedAllocation(cause, 'do this')).toMatchObject({ code: 'E_BACKEND', cause });
  expect((fromFailedAllocation(cause, 'do this') as Error).message).toContain(
    'there is too little memory to do this: ',
  );
});

test('other errors stay', () => {
  for (const error of [failureOf(() => new Float32Array(-1)), new BnnError('E_IO', 'no'), new Error('bug'), 'text']) {
    expect(fromFailedAllocation(error, 'do this')).toBe(error);
  }
});

test('usable is less than there is', () => {
  expect(usableMemory()).toBeGreaterThan(2 ** 26);
  expect(usableMemory()).toBeLessThan(totalmem());
  expect([1.234e9, 179.4e9, 7.2e16].map(formatGigabytes)).toEqual(['1.23 GB', '179 GB', '72,000,000 GB']);
});
