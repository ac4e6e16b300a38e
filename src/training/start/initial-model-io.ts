/** The file that a run starts from. */

import { basename, dirname, resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { rowNamed } from '../../core/row-named.ts';
import type { Tensor } from '../../core/tensors/tensor.ts';
import type { Dataset } from '../../data/dataset.ts';
import { BnnError } from '../../errors.ts';
import { readModel } from '../../onnx/model-io.ts';
import { WEIGHT_TRANSFORMS, type WeightTransformRow } from '../optimizers/weight-transform.ts';
import { findParameters } from '../program/parameters.ts';
import { type Recipe, startsTransformed, valuesOf } from '../recipes/recipe.ts';
import { loadCheckpoint } from '../sessions/checkpoint-io.ts';
import { readRecipe } from '../sessions/run-folder-io.ts';
import { digestOfFile } from './file-digest-io.ts';
import { type InitialModel, prepareModel } from './initial-model.ts';
import { sameLatent } from './latent-start.ts';

/** Weights near 0 have other signs where another backend rounds otherwise. */
const ROUNDING_SHARE = 0.01;

/**
 * The recipe with the digest of the file that it starts from, and without the network of the zoo that the file stands for.
 *
 * @throws {BnnError} E_NOT_FOUND or E_IO; E_FORMAT when the recipe has the digest of another file.
 */
export async function withInitialDigest(recipe: Recipe): Promise<Recipe> {
  if (recipe.init === '') return recipe;
  return { ...recipe, model: '', initSha256: await digestOfFile('init', recipe.init, recipe.initSha256) };
}

/**
 * The network to start from. With a weight transform, also latent weights that it turns into the network's: those of the run that the
 * file belongs to, if that has the same transform, else such as have the same signs.
 *
 * @throws {BnnError} as `readModel` and `prepareModel`; E_FORMAT when the latent weights of the run are not those of the network.
 *
 * @param transforms  the table of weight transforms; that of this project unless told.
 */
export async function loadInitialModel(
  recipe: Recipe,
  dataset: Dataset,
  transforms: readonly WeightTransformRow[] = WEIGHT_TRANSFORMS,
): Promise<InitialModel & StartingLatent> {
  const { init: at, weightTransform } = recipe;
  const prepared = prepareModel(await readModel(at), dataset, recipe, at);
  if (!startsTransformed(recipe)) return prepared;
  const transform = rowNamed(transforms, weightTransform);
  const { latentFor = sameLatent } = transform;
  const saved = await latentOfRun(at, recipe);
  const latent = new Map<string, Tensor>();
  const notes = [...prepared.notes];
  for (const [value, { name, role, outputAxis, layout }] of findParameters(prepared.model.graph)) {
    if (role !== 'binary-weight' || value.constant === null) continue;
    const weights = value.constant as Tensor<'float32'>;
    const own = saved.get(`${name}.average_weight`) ?? saved.get(`${name}.raw`);
    // The program's layout of convolutions has filters last, a file's first.
    const filters = layout === 'hwio' ? 0 : outputAxis;
    if (own !== undefined) {
      checkOwn(own, weights, (theta) => transform.create(0, 1, valuesOf(recipe)).forward(theta, filters), at);
      latent.set(name, own);
      continue;
    }
    const { latent: start, unreachable } = latentFor(weights, filters, valuesOf(recipe));
    latent.set(name, start);
    if (unreachable > 0) {
      notes.push(
        `${weightTransform} centres filters: ${unreachable} of ${name}, whose weights all have one sign, start with others`,
      );
    }
  }
  return { ...prepared, notes, latent };
}

/**
 * No transform changes its signs with the epoch, so those of the network tell whether latent weights are its own.
 *
 * @throws {BnnError} E_FORMAT when they are not.
 */
function checkOwn(
  latent: Tensor,
  weights: Tensor<'float32'>,
  forward: (theta: tf.Tensor) => tf.Tensor,
  at: string,
): void {
  const hint =
    'copy the whole checkpoint, or model.onnx alone to another folder; fields of the weight transform must be those of that run';
  const shape = [...weights.shape];
  if (latent.dtype !== 'float32' || latent.shape.join() !== shape.join()) {
    throw new BnnError('E_FORMAT', 'optimizer.safetensors beside the network has weights of other shapes', {
      at,
      hint,
    });
  }
  const given = tf.tidy(() => {
    const theta = tf.tensor(latent.data as Float32Array, shape);
    return forward(theta).dataSync();
  });
  const others = weights.data.reduce((sum, w, i) => sum + Number(w >= 0 !== (given[i] ?? 0) >= 0), 0);
  if (others <= ROUNDING_SHARE * weights.data.length) return;
  throw new BnnError('E_FORMAT', 'optimizer.safetensors beside the network has the weights of another one', {
    at,
    hint,
  });
}

interface StartingLatent {
  /** By name, in the order of the graph. */
  readonly latent?: ReadonlyMap<string, Tensor>;
}

/** What a checkpoint keeps beside its network; nothing where the file is not one of a run with the same transform. */
async function latentOfRun(model: string, { weightTransform, plugins }: Recipe): Promise<ReadonlyMap<string, Tensor>> {
  const folder = dirname(resolve(model));
  // Another folder's recipe.json may be anybody's.
  const isCheckpoint = basename(model) === 'model.onnx' && /^(last|best)(\.old)?$/.test(basename(folder));
  const before = isCheckpoint ? await readRecipe(dirname(folder)) : null;
  const isSame =
    before?.weightTransform === weightTransform && JSON.stringify(before.plugins) === JSON.stringify(plugins);
  if (!isSame) return new Map();
  const { optimizer } = await loadCheckpoint(folder);
  return optimizer;
}
