/** Learning-rate schedules, per optimizer step. */

export const SCHEDULES = ['cosine', 'linear', 'constant', 'step', 'one-cycle'] as const;
export type ScheduleName = (typeof SCHEDULES)[number];

/** What only the schedule `step` needs. */
export interface Staircase {
  /** By which the rate is multiplied … */
  readonly factor: number;
  /** … after each so many steps, counted from the start. */
  readonly steps: number;
}

/** One-cycle: where the rate starts, and where it ends, as shares of the peak and of the start; share of the steps in which it rises. */
const CYCLE = { start: 1 / 25, end: 1e-4, rise: 0.3 };

/**
 * The learning rate of a step: a linear warm-up from lr/W to lr over the first W steps, then the schedule over the remaining
 * ones. The rate that would follow the last step is 0 (cosine, linear), however short the run: the official ReSTE code's
 * warm-up leaves short runs at a quarter of the peak.
 *
 * `one-cycle` (Smith and Topin, arXiv:1708.07120) rises by half a cosine from lr/25 to lr over the warm-up (30 % of the steps
 * without one) and falls by half a cosine to lr/250,000 at the last step.
 *
 * @param step        0 … totalSteps − 1.
 * @param warmupSteps W, 0 for none.
 */
export function learningRate(
  schedule: ScheduleName,
  lr: number,
  step: number,
  totalSteps: number,
  warmupSteps: number,
  staircase: Staircase = { factor: 0.1, steps: Number.POSITIVE_INFINITY },
): number {
  if (schedule === 'one-cycle') return oneCycle(lr, step, totalSteps, warmupSteps || CYCLE.rise * totalSteps);
  if (step < warmupSteps) return (lr * (step + 1)) / warmupSteps;
  const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
  switch (schedule) {
    case 'cosine':
      return 0.5 * lr * (1 + Math.cos(Math.PI * progress));
    case 'linear':
      return lr * (1 - progress);
    case 'constant':
      return lr;
    case 'step':
      return lr * staircase.factor ** Math.floor(step / staircase.steps);
    default:
      return schedule satisfies never;
  }
}

function oneCycle(lr: number, step: number, totalSteps: number, riseSteps: number): number {
  const peak = riseSteps - 1;
  const between = (from: number, to: number, progress: number): number =>
    to + ((from - to) / 2) * (1 + Math.cos(Math.PI * progress));
  if (step <= peak) return between(lr * CYCLE.start, lr, step / peak);
  return between(lr, lr * CYCLE.start * CYCLE.end, (step - peak) / Math.max(1, totalSteps - 1 - peak));
}

/** Bop's γ of an epoch: it falls after each fifth of the epochs (in the paper after each 100 of 500, by 0.1). */
export function bopGamma({ bopGamma: start, bopDecay, epochs }: BopSchedule, epoch: number): number {
  return start * bopDecay ** Math.min(4, Math.floor((5 * epoch) / epochs));
}

interface BopSchedule {
  readonly bopGamma: number;
  readonly bopDecay: number;
  readonly epochs: number;
}
