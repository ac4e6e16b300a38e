/** Comparing recipes that differ in one thing, over the same seeds: which runs there are, and what they say together. */

import { type Spread, spreadOf } from '../core/statistics.ts';
import { BnnError } from '../errors.ts';
import type { EpochRecord } from './history-io.ts';
import type { EpochIndicators } from './indicators.ts';
import type { RecipeInput } from './recipe.ts';

/** One of the recipes that are compared. */
export interface Arm {
  readonly name: string;
  readonly overrides: RecipeInput;
  /** ReSTE's final power, for the arms of a sweep. */
  readonly oEnd: number | null;
}

export interface ArmChoice {
  readonly estimators: readonly string[];
  /** Final powers of ReSTE; each is an arm of its own. */
  readonly oEnds: readonly number[];
  /** Learning rates; with more than one, every arm is trained with each. */
  readonly lrs: readonly number[];
}

/** @throws {BnnError} E_USAGE when there is nothing to compare. */
export function createArms({ estimators, oEnds, lrs }: ArmChoice): Arm[] {
  const byEstimator = estimators.map((name): Arm => ({ name, overrides: overridesOf(name), oEnd: null }));
  const sweep = oEnds.map((oEnd): Arm => ({ name: `reste o=${oEnd}`, overrides: { estimator: 'reste', oEnd }, oEnd }));
  let arms = [...byEstimator, ...sweep];
  if (lrs.length > 0) {
    arms = lrs.flatMap((lr) =>
      arms.map((arm) => ({
        ...arm,
        name: lrs.length === 1 ? arm.name : `${arm.name} lr=${lr}`,
        overrides: { ...arm.overrides, lr },
      })),
    );
  }
  const names = arms.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new BnnError('E_USAGE', `"${twice}" would be compared with itself`);
  if (arms.length === 0) {
    throw new BnnError('E_USAGE', 'there is nothing to compare', { hint: 'give --estimators or --o-ends' });
  }
  return arms;
}

/** AdaSTE is for weights alone: activations are clipped beside it, unless the recipe names an estimator for them. */
function overridesOf(estimator: string): RecipeInput {
  return estimator === 'adaste' ? { estimator: 'ste', weightEstimator: 'adaste' } : { estimator };
}

/** Folder name of a run: `reste o=1.5` with seed 2 is `reste-o-1.5-seed-2`. */
export function runName(arm: Arm, seed: number): string {
  return `${arm.name.replaceAll(/[^\w.]+/g, '-')}-seed-${seed}`;
}

/** What one run says. Indicators are null where the recipe did not ask for them or the network has no binary weights. */
export interface ArmRun {
  readonly seed: number;
  readonly epochs: number;
  /** Of the last epoch, or of the best one by held-out pictures where there are some: never chosen by the test set. */
  readonly testTop1: number;
  readonly trainLoss: number;
  readonly seconds: number;
  /** The paper's: the mean over the epochs. */
  readonly estimatingError: number | null;
  /** The paper's: the sum over the epochs. */
  readonly gradientVariance: number | null;
  /** Means over the epochs. */
  readonly errorPerWeight: number | null;
  readonly gradientVariation: number | null;
  readonly flipRatio: number | null;
  /** Of the last epoch. */
  readonly signEntropy: number | null;
  readonly deadChannels: number | null;
}

/** @param records one per epoch, at least one. */
export function summarizeRun(seed: number, records: readonly EpochRecord[]): ArmRun {
  const last = records.at(-1);
  if (last === undefined) throw new Error('internal: a run without epochs');
  let chosen = last;
  if (last.validationTop1 !== null) {
    // The first of equals, as in training.
    chosen = records.reduce((best, record) =>
      (record.validationTop1 ?? 0) > (best.validationTop1 ?? 0) ? record : best,
    );
  }
  const indicators = records.flatMap((record) => record.indicators ?? []);
  const average = (of: (epoch: EpochIndicators) => number): number | null =>
    indicators.length === 0 ? null : indicators.reduce((sum, epoch) => sum + of(epoch), 0) / indicators.length;
  const stability = average((epoch) => epoch.gradientVariance);
  return {
    seed,
    epochs: records.length,
    testTop1: chosen.testTop1,
    trainLoss: last.trainLoss,
    seconds: records.reduce((sum, record) => sum + record.seconds, 0),
    estimatingError: average((epoch) => epoch.estimatingError),
    gradientVariance: stability === null ? null : stability * indicators.length,
    errorPerWeight: average((epoch) => epoch.errorPerWeight),
    gradientVariation: average((epoch) => epoch.gradientVariation),
    flipRatio: average((epoch) => epoch.flipRatio),
    signEntropy: last.indicators?.signEntropy ?? null,
    deadChannels: last.indicators?.deadChannels ?? null,
  };
}

const MEASURES = [
  'testTop1',
  'trainLoss',
  'seconds',
  'estimatingError',
  'gradientVariance',
  'errorPerWeight',
  'gradientVariation',
  'flipRatio',
  'signEntropy',
  'deadChannels',
] as const;
export type Measure = (typeof MEASURES)[number];

export interface ArmResult {
  readonly name: string;
  readonly overrides: RecipeInput;
  readonly oEnd: number | null;
  readonly runs: readonly ArmRun[];
  /** Over the seeds; null where no run has the measure. */
  readonly spread: Readonly<Record<Measure, Spread | null>>;
  /** Test accuracy less that of the first arm with the same seed, over the seeds that both have; null for the first arm. */
  readonly difference: Spread | null;
}

/** @param baseline the runs of the first arm; null for that arm itself. */
export function summarizeArm(arm: Arm, runs: readonly ArmRun[], baseline: readonly ArmRun[] | null): ArmResult {
  const spread = Object.fromEntries(
    MEASURES.map((measure) => [measure, spreadOf(runs.flatMap((run) => run[measure] ?? []))]),
  ) as Record<Measure, Spread | null>;
  const differences = runs.flatMap((run) => {
    const other = baseline?.find(({ seed }) => seed === run.seed);
    return other === undefined ? [] : [run.testTop1 - other.testTop1];
  });
  return { ...arm, runs, spread, difference: spreadOf(differences) };
}
