/** The teacher of a run, as the learner asks it. */

import type { Dataset } from '../../data/dataset.ts';
import type { Model } from '../../graph/model.ts';
import { type AskTeacher, cachedTeacher } from '../learning/cached-teacher.ts';
import type { Recipe } from '../recipes/recipe.ts';
import { normalizationOf } from '../start/initial-model.ts';
import type { Teacher } from './train-options.ts';

/** Tells the teacher what it is shown, and remembers its answers where the recipe has room for them. Undefined where there is none. */
export function askTeacher(
  recipe: Recipe,
  dataset: Dataset,
  model: Model,
  teacher: Teacher | undefined,
): AskTeacher | undefined {
  if (teacher === undefined) return undefined;
  const { height, width, channels, classes } = dataset;
  const shown = { height, width, channels, classes, ...normalizationOf(model) };
  const ask: AskTeacher = (images, count) => teacher(images, count, shown);
  return recipe.teacherCache > 0 ? cachedTeacher(ask, recipe.teacherCache * 2 ** 20) : ask;
}
