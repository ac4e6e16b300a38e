import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { rowNamed } from '../../../src/core/row-named.ts';
import { learningRate, SCHEDULES, type ScheduleRow } from '../../../src/training/optimizers/schedule.ts';

const rate = (name: string, lr: number, step: number, totalSteps: number, warmupSteps: number): number =>
  learningRate(
    rowNamed<ScheduleRow>(SCHEDULES, name),
    { lr, step, totalSteps, warmupSteps, stepsPerEpoch: totalSteps },
    {},
  );

describe('learningRate', () => {
  it.each([
    ['cosine', 0, 10, 0, 1],
    ['cosine', 5, 10, 0, 0.5],
    ['cosine', 9, 10, 0, 0.5 * (1 + Math.cos(0.9 * Math.PI))],
    ['cosine', 0, 10, 4, 0.25],
    ['cosine', 3, 10, 4, 1],
    ['cosine', 4, 10, 4, 1],
    ['cosine', 7, 10, 4, 0.5],
    ['linear', 5, 10, 0, 0.5],
    ['constant', 9, 10, 2, 1],
    ['cosine', 0, 1, 1, 1],
    ['one-cycle', 0, 10, 1, 1],
    ['one-cycle', 0, 1, 1, 1],
    ['one-cycle', 3, 10, 4, 1],
  ] as const)('%s: step %i of %i after %i warm-up steps → %f', (schedule, step, total, warmup, factor) => {
    expect(rate(schedule, 0.1, step, total, warmup)).toBeCloseTo(0.1 * factor, 12);
  });

  it('one-cycle is a number within its bounds for every length of the warm-up', () => {
    for (let total = 1; total <= 8; total++) {
      for (let warmup = 0; warmup <= total; warmup++) {
        for (let step = 0; step < total; step++) {
          const value = rate('one-cycle', 0.1, step, total, warmup);
          expect(value > 0 && value <= 0.1, `step ${step} of ${total} after ${warmup}: ${value}`).toBe(true);
        }
      }
    }
  });

  it('equals the official per-epoch cosine when a step is an epoch and nothing warms up', () => {
    const golden = JSON.parse(readFileSync(new URL('../../golden/reste-learning-rate.json', import.meta.url), 'utf8'));
    for (const [epoch, lr] of (golden.official_E20_nowarm as number[]).entries()) {
      expect(rate('cosine', 0.1, epoch, 20, 0)).toBeCloseTo(lr, 12);
    }
  });
});
