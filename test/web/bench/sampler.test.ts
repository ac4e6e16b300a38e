import { expect, test } from 'vitest';

/** A script of the browser's, without types of its own. */
const SCRIPT: string = '../../../src/web/bench/sampler.js';
const { Sampler } = (await import(SCRIPT)) as {
  Sampler: new (
    run: () => Promise<void>,
    now: () => number,
  ) => {
    calibrate(): Promise<number>;
    take(samples: number): Promise<number[]>;
  };
};

const CLOCK_MS = 0.005;

/** A clock as coarse as a browser's, and a run of so many milliseconds; the runs of these numbers take 3 ms more. */
function machine(runMs: number, disturbed: (run: number) => boolean) {
  let time = 0;
  let runs = 0;
  return new Sampler(
    async () => {
      time += runMs + (disturbed(runs++) ? 3 : 0);
    },
    () => Math.floor(time / CLOCK_MS) * CLOCK_MS,
  );
}

test.each([
  ['a quiet machine', 0.0031, () => false],
  ['the first sample disturbed', 0.0031, (run: number) => run === 0],
  ['every sample of the calibration disturbed', 0.0031, (run: number) => run < 3],
  ['long runs', 2, () => false],
])('%s: no sample is below what the clock can tell', async (_, runMs, disturbed) => {
  const sampler = machine(runMs, disturbed);
  expect(await sampler.calibrate()).toBeGreaterThanOrEqual(0.5);
  const times = await sampler.take(10);
  expect(times).toHaveLength(10);
  // A sample of 0.25 ms is off by one tick of 0.005 at most.
  for (const ms of times) expect(Math.abs(ms / runMs - 1)).toBeLessThanOrEqual(0.02);
});
