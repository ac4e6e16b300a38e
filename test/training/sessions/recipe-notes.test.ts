import { expect, it } from 'vitest';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import { estimatorInWords } from '../../../src/training/recipes/recipe-choices.ts';
import { noteOnPrecision, notesOnRecipe } from '../../../src/training/sessions/recipe-notes.ts';

it.each([
  ['auto', 'bf16', 'float32', 'the run multiplied float32 so far, this processor is faster with bf16'],
  ['auto', 'float32', 'bf16', 'the run multiplied bf16 so far, this processor is faster with float32'],
  ['auto', 'bf16', 'bf16', null],
  ['auto', 'bf16', undefined, null],
  ['bf16', 'bf16', 'float32', null],
] as const)('precision %s is %s, was %s', (wanted, precision, before, expected) => {
  const note = noteOnPrecision({ precision: wanted }, precision, before && { precision: before });
  if (expected === null) expect(note).toBeNull();
  else expect(note).toContain(expected);
  expect(noteOnPrecision({ precision: wanted }, precision, undefined)).toBeNull();
});

it.each([
  [{ model: 'resnet20', estimator: 'ede' }, 'ede'],
  [
    { model: 'resnet20', weightEstimator: 'ste-identity', activationEstimator: 'approx-sign' },
    'ste-identity for weights and approx-sign for activations',
  ],
  [{ model: 'resnet20', activationEstimator: 'ste' }, 'reste for weights and ste for activations'],
  [{ model: 'resnet20', weightEstimator: 'ste', activationEstimator: 'ste' }, 'ste'],
  [{ model: 'resnet20-1w32a', activationEstimator: 'ste' }, 'reste'],
  [{ model: 'resnet20-fp' }, null],
])('the estimators of %j are %s', (recipe, expected) => expect(estimatorInWords(parseRecipe([recipe]))).toBe(expected));

it.each([
  // Cycles of 10, 20 and 40 epochs.
  [{ epochs: 30 }, null],
  [{ epochs: 29 }, null],
  [{ epochs: 31 }, 'ends 1 epochs into a cycle of 40, at 100 % of the peak rate'],
  [{ epochs: 5 }, 'ends 5 epochs into a cycle of 10, at 50 % of the peak rate'],
  [{ epochs: 35, warmupEpochs: 5 }, null],
  [{ epochs: 100_000, restartEpochs: 1e-6, restartFactor: 1 }, null],
  [{ epochs: 7, restartEpochs: 2, restartFactor: 1 }, 'a cycle ends with --epochs 6 or --epochs 8'],
])('restarts that are cut off: %j', (fields, expected) => {
  const notes = notesOnRecipe(parseRecipe([{ schedule: 'restarts', warmupEpochs: 0, ...fields }]), 100, 60_000);
  if (expected === null) expect(notes).toEqual([]);
  else expect(notes).toEqual([expect.stringContaining(expected)]);
});
