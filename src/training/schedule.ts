/** Learning-rate schedules, per optimizer step. */

export const SCHEDULES = ['cosine', 'linear', 'constant'] as const;
export type ScheduleName = (typeof SCHEDULES)[number];

/**
 * The learning rate of a step: a linear warm-up from lr/W to lr over the first W steps, then the schedule over the remaining
 * ones. The rate that would follow the last step is 0 (cosine, linear), however short the run: the official ReSTE code's
 * warm-up leaves short runs at a quarter of the peak.
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
): number {
  if (step < warmupSteps) return (lr * (step + 1)) / warmupSteps;
  const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
  switch (schedule) {
    case 'cosine':
      return 0.5 * lr * (1 + Math.cos(Math.PI * progress));
    case 'linear':
      return lr * (1 - progress);
    case 'constant':
      return lr;
    default:
      return schedule satisfies never;
  }
}
