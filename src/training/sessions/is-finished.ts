/** When a run has ended, as its history tells: `TrainingSession` stops by the same rule, from its own count. */

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

/** Whether nothing is left to train: all epochs are there, or `patience` of them without a better one. */
export function isFinished(
  records: readonly EpochRecord[],
  { epochs, patience }: Pick<Recipe, 'epochs' | 'patience'>,
): boolean {
  if (records.length === 0 || records.length >= epochs) return records.length >= epochs;
  return patience > 0 && records.length - bestRecord(records).epoch >= patience;
}
