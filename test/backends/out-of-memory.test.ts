import { describe, expect, it } from 'vitest';
import { explainOutOfMemory, isOutOfMemory } from '../../src/backends/out-of-memory.ts';
import { BnnError } from '../../src/errors.ts';

describe('isOutOfMemory', () => {
  it.each([
    'OOM when allocating tensor with shape[128,64,112,112] and type float on /job:localhost',
    'RESOURCE_EXHAUSTED: failed to allocate 2.00GiB',
    'vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY',
    'Out of memory',
    'Buffer size (4294967296) exceeds the max buffer size limit (2147483648).',
    'Binding size (2147483648) of [Buffer] is larger than the maximum storage buffer binding size (2147483644).',
  ])('%s', (text) => {
    expect(isOutOfMemory(new Error(text))).toBe(true);
    expect(isOutOfMemory(new BnnError('E_BACKEND', 'the GPU reported an error', { cause: new Error(text) }))).toBe(
      true,
    );
  });

  it.each(['the shapes do not match', 'device lost'])('not: %s', (text) => {
    expect(isOutOfMemory(new Error(text))).toBe(false);
  });
});

describe('explainOutOfMemory', () => {
  const limited = (most: number) => async (size: number) => {
    if (size > most) throw new Error('out of memory');
  };

  it.each([
    [256, 100, 64],
    [256, 1, 1],
    [100, 25, 25],
  ])('of %i with room for %i, %i fits', async (batch, most, fits) => {
    const { code, message, hint } = await explainOutOfMemory(new Error('out of memory'), batch, limited(most));
    expect({ code, hint }).toEqual({ code: 'E_BACKEND', hint: `--batch-size ${fits} fits` });
    expect(message).toContain(`${batch} pictures`);
  });

  it('says when nothing fits, and passes other errors on', async () => {
    const { message } = await explainOutOfMemory(new Error('out of memory'), 8, limited(0));
    expect(message).toMatch(/and for one picture/);
    const broken = () => Promise.reject(new Error('broken'));
    await expect(explainOutOfMemory(new Error('out of memory'), 8, broken)).rejects.toThrow('broken');
  });
});
