/** What of a training is worth a word before it begins, though nothing is wrong. */

import type { TrainingPrecision } from '../../kernels/convolution.ts';
import type { Recipe } from '../recipes/recipe.ts';
import type { TrainingState } from './training-state.ts';

/** Fewer steps move the weights, and above all their signs, hardly at all. */
const FEW_STEPS = 10;

/** Of the peak. */
const HIGH_RATE = 0.05;
/** In one of so many it does not matter where a run ends, and they would take long to go through. */
const MANY_CYCLES = 1e4;

/** Of the recipe of a new run. @param pictures  training pictures, held-out ones included. */
export function notesOnRecipe(recipe: Recipe, stepsPerEpoch: number, pictures: number): string[] {
  return [noteOnSteps(recipe, stepsPerEpoch, pictures), noteOnWarmup(recipe), noteOnRestarts(recipe)].filter(
    (note) => note !== null,
  );
}

/** Where a batch holds so much of the pictures that an epoch has few steps. */
function noteOnSteps({ batchSize, validation }: Recipe, steps: number, pictures: number): string | null {
  const most = Math.floor((pictures - validation) / FEW_STEPS);
  const suggested = 2 ** Math.floor(Math.log2(Math.max(4, most)));
  if (steps >= FEW_STEPS || suggested >= batchSize) return null;
  const taken = `an epoch is ${steps === 1 ? 'one step' : `${steps} steps`} of ${batchSize} pictures`;
  return `${taken}: a network learns little from so few; try --batch-size ${suggested}, or more --epochs`;
}

/** A rate that hardly falls leaves the signs of weights in motion. */
function noteOnWarmup({ warmupEpochs, epochs }: Recipe): string | null {
  if (2 * warmupEpochs <= epochs) return null;
  const span = warmupEpochs >= epochs ? 'all of them, so it never falls' : 'more than half of them';
  return `the learning rate rises for ${warmupEpochs} of ${epochs} epochs, ${span}; try --warmup-epochs ${epochs / 10}`;
}

/** Where the last cycle of `restarts` is cut off while the rate is high. */
function noteOnRestarts({ schedule, epochs, warmupEpochs, restartEpochs, restartFactor }: Recipe): string | null {
  if (schedule !== 'restarts' || (epochs - warmupEpochs) / restartEpochs > MANY_CYCLES) return null;
  let [begin, length] = [warmupEpochs, restartEpochs];
  while (begin + length < epochs) {
    begin += length;
    length *= restartFactor;
  }
  const share = 0.5 * (1 + Math.cos((Math.PI * (epochs - begin)) / length));
  if (share < HIGH_RATE) return null;
  const ends = [begin, begin + length]
    .filter((end) => end > warmupEpochs)
    .map((end) => `--epochs ${Number(end.toFixed(2))}`);
  const left = `the run ends ${Number((epochs - begin).toFixed(2))} epochs into a cycle of ${Number(length.toFixed(2))}`;
  return `${left}, at ${Math.round(100 * share)} % of the peak rate: signs are still in motion then; a cycle ends with ${ends.join(' or ')}`;
}

/** Where `auto` decides otherwise than before, on another processor: gradients are rounded in another way from here on. */
export function noteOnPrecision(
  { precision: wanted }: Pick<Recipe, 'precision'>,
  precision: TrainingPrecision,
  state: Pick<TrainingState, 'precision'> | undefined,
): string | null {
  const before = state?.precision;
  if (wanted !== 'auto' || before === undefined || before === precision) return null;
  return `the run multiplied ${before} so far, this processor is faster with ${precision}: gradients are rounded otherwise from here on`;
}
