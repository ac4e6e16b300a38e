/** The estimators that a recipe asks for, epoch by epoch. */

import { BnnError } from '../errors.ts';
import { adasteSchedule } from '../estimators/adaste.ts';
import { approxSignSchedule } from '../estimators/approx-sign.ts';
import { dsqSchedule } from '../estimators/dsq.ts';
import { edeSchedule } from '../estimators/ede.ts';
import type { EstimatorSchedule } from '../estimators/estimator.ts';
import { fdaSchedule } from '../estimators/fda.ts';
import { LearnedDsq } from '../estimators/learned-dsq.ts';
import { rbnnSchedule } from '../estimators/rbnn.ts';
import { resteO, resteSchedule } from '../estimators/reste.ts';
import { steSchedule } from '../estimators/ste.ts';
import { swishSignSchedule } from '../estimators/swish-sign.ts';
import { withPeak } from '../estimators/with-peak.ts';
import type { RunSettings } from './program.ts';
import type { EstimatorName, Recipe } from './recipe.ts';

export interface Estimators {
  at(epoch: number): RunSettings;
  /** What is trained besides the network's parameters. */
  readonly learned: readonly LearnedDsq[];
  /** ReSTE's power parameter of an epoch; null when neither estimator is ReSTE. */
  o(epoch: number): number | null;
}

/** Bop moves weights of ±1 by their own gradient: there is no latent weight that an estimator could look at. */
function weightEstimatorOf({ optimizer, weightEstimator, estimator }: Recipe): EstimatorName {
  if (weightEstimator !== '') return weightEstimator;
  return optimizer === 'bop' ? 'ste-identity' : estimator;
}

/** @throws {BnnError} E_USAGE when Bop is given what only latent weights can use. */
function checkBop({ optimizer, weightEstimator, weightTransform, clampWeights, relaxShare }: Recipe): void {
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
            : null;
  if (found === null) return;
  throw new BnnError('E_USAGE', `${found}, but bop has no latent weights: it flips weights of ±1 by their gradient`, {
    hint: 'leave it out, or choose another --optimizer; --estimator applies to activations',
  });
}

/** @throws {BnnError} E_USAGE for an estimator where it cannot be used. */
export function createEstimators(recipe: Recipe): Estimators {
  checkBop(recipe);
  const learned: LearnedDsq[] = [];
  const ofSize = (name: EstimatorName, role: 'weight' | 'activation'): EstimatorSchedule => {
    const schedule = create(name, role);
    if (recipe.slopePeak === 0) return schedule;
    if (name !== 'dsq-learned' && name !== 'adaste') return withPeak(schedule, recipe.slopePeak);
    throw new BnnError('E_USAGE', `slopePeak is ${recipe.slopePeak}, but the slope of ${name} has no one size`, {
      hint: 'leave it out, or choose another estimator',
    });
  };
  const create = (name: EstimatorName, role: 'weight' | 'activation'): EstimatorSchedule => {
    switch (name) {
      case 'reste':
        return resteSchedule(recipe.oEnd, { t: recipe.resteT, m: recipe.resteM });
      case 'ste':
        return steSchedule(recipe.steClip);
      case 'ste-identity':
        return steSchedule(Infinity);
      case 'approx-sign':
        return approxSignSchedule();
      case 'swish-sign':
        return swishSignSchedule(recipe.swishBeta);
      case 'ede':
        return edeSchedule();
      case 'dsq':
        return dsqSchedule(recipe.dsqAlpha);
      case 'dsq-learned': {
        const dsq = new LearnedDsq(role, recipe.dsqAlpha);
        learned.push(dsq);
        return dsq.schedule;
      }
      case 'fda':
        return fdaSchedule();
      case 'rbnn':
        return rbnnSchedule(role);
      case 'adaste':
        if (role === 'weight') return adasteSchedule();
        throw new BnnError('E_USAGE', 'adaste is an estimator for weights, but activations would use it as well', {
          hint: 'give it as --weight-estimator, and another as --estimator',
        });
      default:
        return name satisfies never;
    }
  };
  const weight = ofSize(weightEstimatorOf(recipe), 'weight');
  const activation = ofSize(recipe.activationEstimator || recipe.estimator, 'activation');
  const usesReste = weight.name === 'reste' || activation.name === 'reste';
  // An estimator may hold a table, which should be made once an epoch and not once a step.
  let current: { readonly epoch: number; readonly settings: RunSettings } | undefined;
  return {
    learned,
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
    o: (epoch) => (usesReste ? resteO(epoch, recipe.epochs, recipe.oEnd) : null),
  };
}
