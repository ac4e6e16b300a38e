import { describe, expect, test } from 'vitest';
import { kernelRow, kernelRows, measureCase } from '../../src/inference/bench-case.ts';
import {
  floatConv,
  int8Conv,
  nameOfConvLayer,
  operationsOf,
  packedConv,
  parseConvLayer,
} from '../../src/inference/bench-conv-models.ts';
import { measureMemory } from '../../src/inference/bench-memory-io.ts';
import { timeVariants } from '../../src/inference/bench-timing.ts';
import { createNativeSession } from '../../src/inference/native-session.ts';
import { missingAddon, missingOps } from './native-parts.ts';

describe('conv layers', () => {
  test.each([
    ['64@56', 'conv3x3 64@56x56', 2 * 56 * 56 * 64 * 64 * 9],
    ['64-128@56k1s2', 'conv1x1 64-128@56x56 stride 2', 2 * 28 * 28 * 64 * 128],
    ['8@5k5', 'conv5x5 8@5x5', 2 * 25 * 64 * 25],
  ])('%s', (text, name, operations) => {
    const layer = parseConvLayer(text, 1);
    expect(nameOfConvLayer(layer)).toBe(name);
    expect(operationsOf(layer)).toBe(operations);
    expect(operationsOf({ ...layer, batch: 3 })).toBe(3 * operations);
  });

  test.each(['', '64', '64@', '@8', '0@8', '64@0', '64x64@8', '8@8k0', '8@8s0'])('"%s" is refused', (text) => {
    expect(() => parseConvLayer(text, 1)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});

describe.skipIf(missingAddon !== undefined)('the row of kernels', () => {
  test('is the best one, or the best within what BNN_KERNEL names', () => {
    const rows = kernelRows();
    expect(kernelRow(undefined)).toBe(rows.at(-1));
    expect(kernelRow('')).toBe(rows.at(-1));
    for (const row of rows) expect(kernelRow(row)).toBe(row);
    // Tiles of bits need a population count of vectors; there are none for AVX-512 without.
    if (rows.includes('avx512vpopcntdq')) expect(kernelRow('avx512')).toBe('avx2');
  });

  test.each(['mmx', 'sca', 'scalar2'])('is not named %s', (name) => {
    expect(() => kernelRow(name)).toThrow(
      expect.objectContaining({
        code: 'E_USAGE',
        message: expect.stringMatching(/the instruction sets of this processor are scalar/),
      }),
    );
  });
});

describe.skipIf(missingAddon !== undefined)(
  `measurements${missingAddon ? ` (skipped: ${missingAddon})` : ''}`,
  { timeout: 30_000 },
  () => {
    const layer = parseConvLayer('16@6', 1);
    const small = { name: 'small', ops: false, ...floatConv(layer) };
    const large = { name: 'large', ops: false, ...floatConv(parseConvLayer('128@16', 1)) };

    test('8-bit sums are those of the packed weights', async () => {
      const { bytes, feeds } = int8Conv(layer);
      const session = await createNativeSession(bytes);
      const y = (await session.runTensors(feeds))['y'];
      expect(y?.dtype).toBe('uint8');
      // Random ±1 sums of 144 terms: neither constant nor all at the ends of the range.
      const inside = Array.from(y?.data as Uint8Array).filter((value) => value > 0 && value < 255);
      expect(inside.length).toBeGreaterThan(0.9 * (y?.data.length ?? 0));
      expect(new Set(inside).size).toBeGreaterThan(20);
      await session.dispose();
    });

    test('a layer of 455 times the work takes longer', async () => {
      const rounds: number[] = [];
      const [fast, slow] = await timeVariants([small, large], {
        threads: 1,
        rounds: 4,
        repetitions: 3,
        onRound: (done) => rounds.push(done),
      });
      expect(rounds).toEqual([1, 2, 3, 4]);
      expect(fast).toMatchObject({ name: 'small', runs: 12 });
      expect(slow).toMatchObject({ name: 'large', runs: 12 });
      expect(slow!.medianMs).toBeGreaterThan(3 * fast!.medianMs);
      for (const timing of [fast!, slow!]) {
        expect(timing.p10Ms).toBeLessThanOrEqual(timing.medianMs);
        expect(timing.p90Ms).toBeGreaterThanOrEqual(timing.medianMs);
        expect(timing.roundMs).toHaveLength(4);
        expect(timing.createMs).toBeGreaterThan(0);
      }
    });

    test.skipIf(process.platform !== 'linux')('memory grows with the weights', async () => {
      const heavy = { name: 'heavy', ops: false, ...floatConv(parseConvLayer('1024@4', 1)) };
      const [less, more] = [await measureMemory(small, 1), await measureMemory(heavy, 1)];
      const weightsMiB = (1024 * 1024 * 9 * 4) / 2 ** 20;
      expect(more!.privateMiB - less!.privateMiB).toBeGreaterThan(0.9 * weightsMiB);
      expect(more!.peakMiB).toBeGreaterThanOrEqual(more!.residentMiB);
      expect(more!.residentMiB).toBeGreaterThanOrEqual(more!.privateMiB);
    });

    test.skipIf(missingOps !== undefined)(`a case${missingOps ? ` (skipped: ${missingOps})` : ''}`, async () => {
      const operations = operationsOf(layer);
      const variants = [
        { name: 'ours', ops: true, ...packedConv(layer) },
        { name: 'stock', ops: false, ...packedConv(layer) },
      ];
      const result = await measureCase(
        { name: 'tiny', variants, operations, binaryOperations: operations / 2 },
        { threads: 1, rounds: 3, repetitions: 3, memory: false },
      );
      expect(result).toMatchObject({ name: 'tiny', threads: 1, runs: 9, memory: null });
      expect(result.gops).toBeCloseTo(operations / result.medianMs / 1e6, 6);
      const { stock } = result.baselines;
      expect(stock?.ratio).toBeCloseTo((stock?.medianMs ?? 0) / result.medianMs, 9);
      expect(result.popcountShare).toBeCloseTo(result.gops / 2 / result.popcountLimitGops, 9);
    });
  },
);
