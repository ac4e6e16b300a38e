/** When a run has ended. */

import type { Recipe } from '../recipes/recipe.ts';
import type { EpochRecord } from './history-io.ts';

/** The epoch that is best on the held-out pictures, or on the test set without any; the first of equals. @param records  at least one. */
export function bestRecord(records: readonly EpochRecord[]): EpochRecord {
  const [first] = records;
  if (first === undefined) throw new Error('internal: a run without epochs');
  return records.reduce((best, record) => (accuracyOf(record) > accuracyOf(best) ? record : best), first);
}

function accuracyOf({ validationTop1, testTop1 }: EpochRecord): number {
  return validationTop1 ?? testTop1;
}

/** Whether nothing is left to train after so many epochs: all are there, or `patience` of them without a better one. @param best  null where there is none. */
export function hasEnded(
  epoch: number,
  best: number | null,
  { epochs, patience }: Pick<Recipe, 'epochs' | 'patience'>,
): boolean {
  return epoch >= epochs || (patience > 0 && best !== null && epoch - best >= patience);
}

/** The same, as the history tells. */
export function isFinished(records: readonly EpochRecord[], recipe: Pick<Recipe, 'epochs' | 'patience'>): boolean {
  return hasEnded(records.length, records.length === 0 ? null : bestRecord(records).epoch, recipe);
}
