/** Data sets of plug-ins, for commands that do not train. */

import type { LoadOptions } from '../data/dataset.ts';
import type { DatasetRow } from '../data/load-dataset.ts';
import type { LoadedPlugin, PluginSource } from '../training/plugins/load-plugin-io.ts';
import type { PluginFiles } from '../training/plugins/plugin-errors.ts';

export interface OpenDatasets {
  readonly datasets: readonly DatasetRow[];
  readonly plugins: readonly PluginFiles[];
  /** What the recipe of the run tells the data set; undefined where it was trained on another one. */
  readonly values: LoadOptions['values'];
}

/**
 * The data sets to choose from with these plug-ins. Loads TensorFlow.js, which plug-ins may use.
 *
 * @param run      folder of a run, whose recipe has the fields of its data set.
 * @param dataset  the one that is going to be read.
 * @throws {BnnError} what opening the plug-ins and reading the recipe throw.
 */
export async function openDatasets(
  sources: readonly (PluginSource | LoadedPlugin)[],
  run: string | null,
  dataset: string,
): Promise<OpenDatasets> {
  const { openParts } = await import('../training/recipes/parts.ts');
  const { readRecipe } = await import('../training/sessions/run-folder-io.ts');
  const { valuesOf } = await import('../training/recipes/recipe.ts');
  const { datasets, plugins, rules } = await openParts(sources);
  const recipe = run === null ? null : await readRecipe(run, rules);
  return { datasets, plugins, values: recipe?.dataset === dataset ? valuesOf(recipe) : undefined };
}
