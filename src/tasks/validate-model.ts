/** Accuracy, agreement and speed of a model on a data set, wherever the model lies. */

import { stat } from 'node:fs/promises';
import { DATASET_NAMES } from '../data/load-dataset.ts';
import { BnnError } from '../errors.ts';
import { findModel } from '../inference/model-source-io.ts';
import { type ValidateOptions, type Validation, validateModel as validateFile } from '../inference/validate.ts';
import type { LoadedPlugin, PluginSource } from '../training/plugins/load-plugin-io.ts';
import { readRunData } from '../training/recipes/run-data-io.ts';
import { openDatasets } from './open-datasets.ts';

export interface ModelValidateOptions extends Omit<ValidateOptions, 'dataset' | 'datasets' | 'values'> {
  /** That of the run, unless told. */
  readonly dataset?: string | undefined;
  /** Parts of one's own, where the data set is among them. */
  readonly plugins?: readonly (PluginSource | LoadedPlugin)[] | undefined;
}

export interface ModelValidation extends Validation {
  /** The ONNX file that ran. */
  readonly model: string;
}

/**
 * Runs a model on the test pictures of a data set.
 *
 * @param options  `model` and `against` may be ONNX files or run folders; of a run the data are known.
 * @throws {BnnError} E_NOT_FOUND and E_FORMAT for what is no model, E_USAGE where no data set is given or known, and what loading the
 *   data and running throw.
 */
export async function validateModel(options: ModelValidateOptions): Promise<ModelValidation> {
  await assertDataKnown(options);
  const { path: model, run } = await findModel(options.model);
  const other = options.against === undefined ? undefined : await findModel(options.against);
  const against = other?.path;
  const trained = run ?? other?.run ?? null;
  const data = await dataOf(trained, options);
  const { plugins = [], ...rest } = options;
  const request = { ...rest, ...data, model, against };
  if (plugins.length === 0) return { model, ...(await validateFile(request)) };
  const own = await openDatasets(plugins, trained, data.dataset);
  const { fromPluginError } = await import('../training/plugins/plugin-errors.ts');
  try {
    return { model, ...(await validateFile({ ...request, datasets: own.datasets, values: own.values })) };
  } catch (error) {
    throw fromPluginError(error, own.plugins);
  }
}

/** What is given, completed by what the run was trained on. */
async function dataOf(
  run: string | null,
  { dataset, dir, split, plugins = [] }: ModelValidateOptions,
): Promise<Pick<ValidateOptions, 'dataset' | 'dir' | 'split'>> {
  const recipe = run === null ? null : await readRunData(run);
  const name = dataset ?? recipe?.dataset;
  if (name === undefined) throw noDataset();
  if (recipe === null || name !== recipe.dataset) return { dataset: name, dir, split };
  if (recipe.plugins.length > 0 && plugins.length === 0 && !DATASET_NAMES.includes(name)) {
    const names = recipe.plugins.map((plugin) => `"${plugin}"`).join(', ');
    throw new BnnError(
      'E_NOT_FOUND',
      `the data set of the run, "${name}", is of a plug-in (${names}), and none is given`,
      {
        at: run ?? undefined,
        hint: 'add --plugin FILE',
      },
    );
  }
  return { dataset: name, dir: dir ?? recipe.dir, split: split ?? recipe.split };
}

/** Of a file, the data are never known: that is said before it is looked for. */
async function assertDataKnown({ model, against, dataset }: ModelValidateOptions): Promise<void> {
  if (dataset !== undefined) return;
  for (const path of [model, against]) {
    if (path === undefined) continue;
    const facts = await stat(path).catch(() => null);
    // A name that is not there may be meant as a run's.
    if (facts === null ? !path.endsWith('.onnx') : facts.isDirectory()) return;
  }
  throw noDataset();
}

function noDataset(): BnnError {
  return new BnnError('E_USAGE', 'no data set given', {
    hint: `add --dataset ${DATASET_NAMES.join(' | ')}; of a run folder it is known`,
  });
}
