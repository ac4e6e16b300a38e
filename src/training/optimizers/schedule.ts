/** Learning-rate schedules, per optimizer step. */

import { type Fields, MAX, number, type ValuesOf } from '../../core/field.ts';

/** Where a run stands when a step is taken. */
export interface ScheduleMoment {
  /** The recipe's learning rate: the peak. */
  readonly lr: number;
  /** 0 … totalSteps − 1. */
  readonly step: number;
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  /** 0 for none. */
  readonly warmupSteps: number;
}

export interface ScheduleRow<N extends string = string, F extends Fields = Fields> {
  readonly name: N;
  /** Of the recipe. */
  readonly fields: F;
  /** Also called for the steps of the warm-up; without it the rate rises from lr/W to lr over the first W steps. */
  readonly ownsWarmup?: true;
  /** The learning rate of a step. */
  rate(moment: ScheduleMoment, values: ValuesOf<F>): number;
}

const row = <const N extends string, const F extends Fields>(it: ScheduleRow<N, F>) => it;

/** One-cycle: where the rate starts, and where it ends, as shares of the peak and of the start; share of the steps in which it rises. */
const CYCLE = { start: 1 / 25, end: 1e-4, rise: 0.3 };

/**
 * In the order of the help. The rate that would follow the last step is 0 (cosine, linear), however short the run: the official ReSTE
 * code's warm-up leaves short runs at a quarter of the peak.
 *
 * `restarts` (Loshchilov and Hutter, "SGDR", arXiv:1608.03983) falls as `cosine` does, over and over again; where the run ends, so does the
 * cycle under way.
 *
 * `one-cycle` (Smith and Topin, arXiv:1708.07120) rises by half a cosine from lr/25 to lr over the warm-up (30 % of the steps
 * without one) and falls by half a cosine to lr/250,000 at the last step.
 */
export const SCHEDULES = [
  row({ name: 'cosine', fields: {}, rate: (at) => 0.5 * at.lr * (1 + Math.cos(Math.PI * progressOf(at))) }),
  row({ name: 'linear', fields: {}, rate: (at) => at.lr * (1 - progressOf(at)) }),
  row({ name: 'constant', fields: {}, rate: ({ lr }) => lr }),
  row({
    name: 'step',
    fields: {
      stepEpochs: number(30, 1e-6, MAX, 'schedule step: epochs between two falls'),
      stepFactor: number(0.1, 0, 1, 'schedule step: what a fall leaves of the rate'),
    },
    rate: ({ lr, step, stepsPerEpoch }, { stepEpochs, stepFactor }) =>
      lr * stepFactor ** Math.floor(step / Math.max(1, Math.round(stepEpochs * stepsPerEpoch))),
  }),
  row({
    name: 'restarts',
    fields: {
      restartEpochs: number(10, 1e-6, MAX, 'schedule restarts: epochs until the rate is the peak again'),
      restartFactor: number(2, 1, 100, 'schedule restarts: how much longer each cycle is than the one before'),
    },
    rate: ({ lr, step, stepsPerEpoch, warmupSteps }, { restartEpochs, restartFactor }) => {
      const { at, length } = cycleOf(step - warmupSteps, Math.max(1, restartEpochs * stepsPerEpoch), restartFactor);
      return 0.5 * lr * (1 + Math.cos((Math.PI * at) / length));
    },
  }),
  row({
    name: 'one-cycle',
    fields: {},
    ownsWarmup: true,
    rate: ({ lr, step, totalSteps, warmupSteps }) =>
      oneCycle(lr, step, totalSteps, warmupSteps || CYCLE.rise * totalSteps),
  }),
] as const;

/** The learning rate of a step, with the warm-up. */
export function learningRate(schedule: ScheduleRow, moment: ScheduleMoment, values: ValuesOf<Fields>): number {
  const { lr, step, warmupSteps } = moment;
  if (schedule.ownsWarmup !== true && step < warmupSteps) return (lr * (step + 1)) / warmupSteps;
  return schedule.rate(moment, values);
}

/** The share of the steps behind the warm-up that were taken. */
function progressOf({ step, totalSteps, warmupSteps }: ScheduleMoment): number {
  return (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
}

/** Where a step stands in its cycle, and how long that is. */
function cycleOf(step: number, first: number, factor: number): { readonly at: number; readonly length: number } {
  let [at, length] = [Math.max(0, step), first];
  if (factor === 1) return { at: at % length, length };
  while (at >= length) {
    at -= length;
    length *= factor;
  }
  return { at, length };
}

function oneCycle(lr: number, step: number, totalSteps: number, riseSteps: number): number {
  const peak = riseSteps - 1;
  const between = (from: number, to: number, progress: number): number =>
    to + ((from - to) / 2) * (1 + Math.cos(Math.PI * progress));
  if (step < peak) return between(lr * CYCLE.start, lr, step / peak);
  return between(lr, lr * CYCLE.start * CYCLE.end, (step - peak) / Math.max(1, totalSteps - 1 - peak));
}
