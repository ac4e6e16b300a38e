/** The estimators that a recipe asks for, epoch by epoch. */

import { rowNamed } from '../../core/row-named.ts';
import { BnnError } from '../../errors.ts';
import type { EstimatorSchedule, LearnedState, SignRole } from '../../estimators/estimator.ts';
import { ESTIMATORS, type EstimatorRow } from '../../estimators/table.ts';
import { withPeak } from '../../estimators/with-peak.ts';
import { wakesSilent } from '../optimizers/silent-weights.ts';
import type { Recipe } from '../recipes/recipe.ts';
import { valuesOf } from '../recipes/recipe-values.ts';
import { dividedSchedule } from './divided-activations.ts';
import type { RunSettings } from './program.ts';

export interface Estimators {
  at(epoch: number): RunSettings;
  /** What is trained besides the network's parameters. */
  readonly learned: readonly LearnedState[];
  /** ReSTE's power parameter of an epoch; null when neither estimator is ReSTE. */
  o(epoch: number): number | null;
}

/** Bop moves weights of ±1 by their own gradient: there is no latent weight that an estimator could look at. */
function weightEstimatorOf({ optimizer, weightEstimator, estimator }: Recipe): string {
  if (weightEstimator !== '') return weightEstimator;
  return optimizer === 'bop' ? 'ste-identity' : estimator;
}

/** @throws {BnnError} E_USAGE when Bop is given what only latent weights can use. */
function checkBop(recipe: Recipe): void {
  const { optimizer, weightEstimator, weightTransform, clampWeights, relaxShare } = recipe;
  if (optimizer !== 'bop') return;
  const found =
    weightEstimator !== '' && weightEstimator !== 'ste-identity'
      ? `weightEstimator is ${weightEstimator}`
      : weightTransform !== 'none'
        ? `weightTransform is ${weightTransform}`
        : clampWeights > 0
          ? `clampWeights is ${clampWeights}`
          : relaxShare > 0
            ? `relaxShare is ${relaxShare}`
            : wakesSilent(recipe)
              ? `silent${recipe.silentScale > 0 ? `Scale is ${recipe.silentScale}` : `Decay is ${recipe.silentDecay}`}`
              : null;
  if (found === null) return;
  throw new BnnError('E_USAGE', `${found}, but bop has no latent weights: it flips weights of ±1 by their gradient`, {
    hint: 'leave it out, or choose another --optimizer; --estimator applies to activations',
  });
}

/** @throws {BnnError} E_USAGE for an estimator where it cannot be used. */
function createEstimator(row: EstimatorRow, role: SignRole, recipe: Recipe): EstimatorSchedule {
  const { name } = row;
  if (!row.roles.includes(role)) {
    const other = role === 'weight' ? 'activation' : 'weight';
    throw new BnnError('E_USAGE', `${name} is an estimator for ${other}s, but ${role}s would use it as well`, {
      hint: `give it as --${other}-estimator, and another as --estimator`,
    });
  }
  const schedule = row.create(valuesOf(recipe), role);
  if (recipe.slopePeak === 0) return schedule;
  if (row.hasNoOneSize !== true) return withPeak(schedule, recipe.slopePeak);
  throw new BnnError('E_USAGE', `slopePeak is ${recipe.slopePeak}, but the slope of ${name} has no one size`, {
    hint: 'leave it out, or choose another estimator',
  });
}

/**
 * @param rows  the table of estimators; that of this project unless told.
 * @throws {BnnError} E_USAGE for an estimator where it cannot be used.
 */
export function createEstimators(recipe: Recipe, rows: readonly EstimatorRow[] = ESTIMATORS): Estimators {
  checkBop(recipe);
  const create = (name: string, role: SignRole) => createEstimator(rowNamed(rows, name), role, recipe);
  const weight = create(weightEstimatorOf(recipe), 'weight');
  const activation = dividedSchedule(
    create(recipe.activationEstimator || recipe.estimator, 'activation'),
    recipe.activationDeviation,
  );
  const { o = activation.o } = weight;
  // An estimator may hold a table, which should be made once an epoch and not once a step.
  let current: { readonly epoch: number; readonly settings: RunSettings } | undefined;
  return {
    learned: [weight, activation].flatMap(({ learned }) => learned ?? []),
    at: (epoch) => {
      if (current?.epoch !== epoch) {
        const settings = {
          weightEstimator: weight.at(epoch, recipe.epochs),
          activationEstimator: activation.at(epoch, recipe.epochs),
          relaxWeights: epoch < recipe.relaxShare * recipe.epochs,
        };
        current = { epoch, settings };
      }
      return current.settings;
    },
    o: (epoch) => o?.(epoch, recipe.epochs) ?? null,
  };
}
