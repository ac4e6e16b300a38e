/** The estimators that a recipe asks for, epoch by epoch. */

import type { EstimatorSchedule } from '../estimators/estimator.ts';
import { resteO, resteSchedule } from '../estimators/reste.ts';
import { steSchedule } from '../estimators/ste.ts';
import type { RunSettings } from './program.ts';
import type { EstimatorName, Recipe } from './recipe.ts';

export interface Estimators {
  at(epoch: number): RunSettings;
  /** ReSTE's power parameter of an epoch; null when neither estimator is ReSTE. */
  o(epoch: number): number | null;
}

export function createEstimators(recipe: Recipe): Estimators {
  const create = (name: EstimatorName): EstimatorSchedule => {
    switch (name) {
      case 'reste':
        return resteSchedule(recipe.oEnd, { t: recipe.resteT, m: recipe.resteM });
      case 'ste':
        return steSchedule(recipe.steClip);
      case 'ste-identity':
        return steSchedule(Infinity);
      default:
        return name satisfies never;
    }
  };
  const weight = create(recipe.weightEstimator || recipe.estimator);
  const activation = create(recipe.activationEstimator || recipe.estimator);
  const usesReste = weight.name === 'reste' || activation.name === 'reste';
  return {
    at: (epoch) => ({
      weightEstimator: weight.at(epoch, recipe.epochs),
      activationEstimator: activation.at(epoch, recipe.epochs),
    }),
    o: (epoch) => (usesReste ? resteO(epoch, recipe.epochs, recipe.oEnd) : null),
  };
}
