/** The pictures of a run: what its recipe says of them, as the loaders take it. */

import type { LoadOptions } from '../../data/dataset.ts';
import { DATASETS, hasFreeImageSize } from '../../data/load-dataset.ts';
import { BnnError } from '../../errors.ts';
import type { Dim } from '../../graph/graph.ts';
import { readModel } from '../../onnx/model-io.ts';
import { findNetwork } from '../../zoo/zoo.ts';
import { placeOf } from './data-place.ts';
import { BUILT_IN, type Parts } from './parts.ts';
import { type Recipe, valuesOf } from './recipe.ts';

/** Where no network says a size: what networks for ImageNet take. */
const COMMON_SIZE = 224;

/** All that a recipe says of its data set. */
export function loadOptionsOf(recipe: Recipe, datasets = DATASETS): LoadOptions {
  const { download, limitTrain, limitTest, dataset, imageSize, fit } = recipe;
  const isFree = hasFreeImageSize(dataset, datasets);
  return {
    ...placeOf(recipe),
    download,
    limitTrain: limitTrain || undefined,
    limitTest: limitTest || undefined,
    ...(isFree && imageSize > 0 && { imageSize }),
    ...(isFree && { fit }),
    values: valuesOf(recipe),
  };
}

/**
 * The recipe with the size of its pictures, where they have various sizes and it names none: that of the network.
 *
 * @throws {BnnError} E_NOT_FOUND for a network that is not there; as `readModel`.
 */
export async function withImageSize(
  recipe: Recipe,
  { networks, datasets }: Pick<Parts, 'networks' | 'datasets'> = BUILT_IN,
): Promise<Recipe> {
  if (recipe.imageSize > 0 || !hasFreeImageSize(recipe.dataset, datasets)) return recipe;
  const imageSize =
    recipe.init === '' ? findNetwork(recipe.model, networks).input.height : await sizeOfFile(recipe.init);
  return { ...recipe, imageSize };
}

function isChannels(size: Dim | undefined): boolean {
  return size === 1 || size === 3;
}

async function sizeOfFile(path: string): Promise<number> {
  const { graph } = await readModel(path);
  const [, ...image]: readonly Dim[] = graph.inputs[0]?.shape ?? [];
  // Channels last, which the training itself refuses with both shapes.
  const sizes = isChannels(image[2]) && !isChannels(image[0]) ? image.slice(0, 2) : image.slice(1);
  const [height = COMMON_SIZE, width] = sizes.filter((size) => typeof size === 'number');
  if (width !== undefined && width !== height) {
    throw new BnnError('E_SHAPE', `the network takes pictures of ${height}×${width}, the data set gives square ones`, {
      at: path,
    });
  }
  return height;
}
