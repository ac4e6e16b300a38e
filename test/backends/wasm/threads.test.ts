/** Training kernels in WebAssembly on several threads. */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { selectBackend } from '../../../src/backends/select-backend.ts';
import { createKernels } from '../../../src/backends/wasm/start-kernels.ts';
import { addonOf } from '../../../src/backends/wasm/wasm-addon.ts';
import { Rng } from '../../../src/core/numbers/rng.ts';
import { maxAbsoluteError } from '../../../src/core/numbers/tolerance.ts';
import { trainTiny } from '../train-tiny.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const THREADS = [1, 2, 3, 2, 1, 3];

const kernels = createKernels();
const addon = addonOf(kernels);

/** An array in the module's memory. */
function place(count: number, seed?: number): Float32Array {
  const array = new Float32Array(kernels.buffer, kernels.allocate(4 * count), count);
  if (seed === undefined) return array;
  const rng = new Rng(seed);
  for (let i = 0; i < count; i++) array[i] = rng.normal();
  return array;
}

const [N, H, C, O] = [6, 15, 24, 20];
const SHAPE = Int32Array.of(N, H, H, C, 3, 3, O, H, H, 1, 1, 1, 1, 1, 1, 1, 0);
const POOL = Int32Array.of(N, H, H, C, 7, 7, 2, 2, 2, 2, 0, 0);
const [x, filter, dy] = [place(N * H * H * C, 1), place(9 * C * O, 2), place(N * H * H * O, 3)];
const [gamma, beta, ones] = [place(C, 4), place(C, 5), place(C).fill(1)];

/** What a kernel writes on so many threads. */
type Case = (results: (count: number) => Float32Array) => void;
/** Those that keep a sum for each piece: its bits depend on the number of pieces, as in the native backend. */
const SUMS: Readonly<Record<string, Case>> = {
  conv2dFilterGrad: (result) => addon.conv2dFilterGrad(x, dy, result(9 * C * O), SHAPE),
  binaryConv2dFilterGrad: (result) => addon.binaryConv2dFilterGrad(x, dy, result(9 * C * O), SHAPE),
  batchNormTrain: (result) =>
    addon.batchNormTrain(x, ones, gamma, beta, result(x.length), result(C), result(C), 1e-5, true, null),
};
const OTHERS: Readonly<Record<string, Case>> = {
  conv2d: (result) => addon.conv2d(x, filter, result(dy.length), SHAPE),
  conv2dInputGrad: (result) => addon.conv2dInputGrad(dy, filter, result(x.length), SHAPE),
  binaryConv2d: (result) => addon.binaryConv2d(x, filter, result(dy.length), SHAPE),
  maxPool: (result) => addon.maxPool(x, result(N * 49 * C), POOL),
  fill: (result) => addon.fill(result(100_000), 3),
};

function bitsOf(arrays: readonly Float32Array[]): string[] {
  return arrays.map((array) => createHash('sha256').update(array).digest('hex'));
}

function outputsOn(threads: number, run: Case): Float32Array[] {
  addon.setThreads(threads);
  expect(addon.startThreads()).toBe(threads);
  const made: Float32Array[] = [];
  run((count) => {
    const array = place(count);
    made.push(array);
    return array;
  });
  const copies = made.map((array) => array.slice());
  for (const array of made) kernels.free(array.byteOffset);
  return copies;
}

/** To the nearest number of 8 bits of significand, ties to even. */
function toBf16(values: Float32Array): Float32Array {
  const rounded = place(values.length);
  for (const [i, value] of values.entries()) {
    const unit = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 7);
    const steps = value / unit;
    const near = Math.round(steps);
    rounded[i] = unit * (Math.abs(steps % 1) === 0.5 && near % 2 !== 0 ? near - 1 : near);
  }
  return rounded;
}

it('products of bfloat16 are those of rounded numbers, forward too', () => {
  // With a stride no tiles are transformed.
  const shape = (precision: number) => Int32Array.of(N, H, H, C, 3, 3, O, 8, 8, 2, 2, 1, 1, 1, 1, 1, precision);
  addon.setThreads(1);
  const [y, expected] = [place(N * 64 * O), place(N * 64 * O)];
  addon.conv2d(x, filter, y, shape(1));
  addon.conv2d(toBf16(x), toBf16(filter), expected, shape(0));
  expect(y).toEqual(expected);
  addon.conv2d(x, filter, expected, shape(0));
  expect(y).not.toEqual(expected);
});

describe('kernels', () => {
  it.each(Object.entries(OTHERS))('%s gives the same bits on any number of threads', (_, run) => {
    const [alone, ...others] = THREADS.map((threads) => outputsOn(threads, run));
    expect(alone![0]!.some((value) => value !== 0)).toBe(true);
    for (const found of others) expect(bitsOf(found)).toEqual(bitsOf(alone!));
  });

  it.each(Object.entries(SUMS))('%s gives the same bits every time on so many threads', (_, run) => {
    const runs = THREADS.map((threads) => ({ threads, outputs: outputsOn(threads, run) }));
    for (const { threads, outputs } of runs) {
      const first = runs.find((other) => other.threads === threads)!;
      expect(bitsOf(outputs)).toEqual(bitsOf(first.outputs));
      for (const [i, values] of outputs.entries()) {
        expect(maxAbsoluteError(values, runs[0]!.outputs[i]!)).toBeLessThan(1e-3);
      }
    }
  });

  it('work again after memory ran out on one of the threads', () => {
    const run = OTHERS['conv2dInputGrad']!;
    const expected = outputsOn(3, run);
    addon.releaseScratch();
    const result = place(x.length);
    const held: number[] = [];
    for (let bytes = 2 ** 30; bytes >= 64; bytes /= 2) {
      for (;;) {
        try {
          held.push(kernels.allocate(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          break;
        }
      }
    }
    const outcomes: string[] = [];
    while (held.length > 0) {
      try {
        addon.conv2dInputGrad(dy, filter, result, SHAPE);
        outcomes.push('works');
        break;
      } catch (error) {
        expect(error).toMatchObject({ name: 'RangeError', message: expect.stringContaining('allocation failed') });
        outcomes.push('fails');
        kernels.free(held.pop()!);
      }
    }
    for (const at of held) kernels.free(at);
    expect([outcomes[0], outcomes.at(-1)]).toEqual(['fails', 'works']);
    expect(bitsOf([result.slice()])).toEqual(bitsOf(expected));
    for (const threads of [1, 2, 3]) expect(bitsOf(outputsOn(threads, run))).toEqual(bitsOf(expected));
  });

  it('say what is wrong with their arguments, and go on', () => {
    addon.setThreads(3);
    expect(() => addon.conv2d(x, filter, x, SHAPE)).toThrow(/argument 2 has \d+ elements, expected \d+/);
    expect(bitsOf(outputsOn(3, OTHERS['conv2d']!))).toEqual(bitsOf(outputsOn(1, OTHERS['conv2d']!)));
  });
});

describe('training', () => {
  it('takes the same steps again on the same number of threads, and about those on another', async () => {
    const runs = [];
    for (const threads of THREADS) {
      const { description, ...selected } = await selectBackend('wasm', { threads });
      expect([description, selected.threads]).toEqual([`wasm, ${threads} thread${threads === 1 ? '' : 's'}`, threads]);
      runs.push({ threads, ...(await trainTiny('wasm')) });
    }
    for (const { threads, losses, gradient } of runs) {
      const same = runs.find((other) => other.threads === threads)!;
      expect([losses, gradient]).toEqual([same.losses, same.gradient]);
      for (const [i, loss] of losses.entries()) expect(loss).toBeCloseTo(runs[0]!.losses[i]!, 3);
    }
  });

  it('leaves no thread that keeps the process alive', () => {
    const program = `
      const { selectBackend } = await import(${JSON.stringify(`${ROOT}src/backends/select-backend.ts`)});
      console.log((await selectBackend('wasm', { threads: 3 })).description);`;
    const args = ['--import', 'tsx', '--input-type=module', '-e', program];
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
    expect([stdout, stderr, status]).toEqual(['wasm, 3 threads\n', '', 0]);
  }, 60_000);
});
