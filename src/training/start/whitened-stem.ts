/**
 * A first convolution that begins with filters which whiten the pictures: what they give has variance 1 and does not correlate (Page, "How to
 * train your ResNet", 2018; Jordan, arXiv:2404.00498, from which ε is). Here it is trained on like any other; there it stays as it is.
 */

import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { Rng } from '../../core/numbers/rng.ts';
import { tensor } from '../../core/tensors/tensor.ts';
import { Batcher } from '../../data/batches/batches.ts';
import type { Dataset } from '../../data/dataset.ts';
import { holdOut } from '../../data/splits/hold-out.ts';
import { samplePictures } from '../../data/splits/sample-pictures.ts';
import { BnnError } from '../../errors.ts';
import type { Value } from '../../graph/graph.ts';
import type { Model } from '../../graph/model.ts';
import type { Recipe } from '../recipes/recipe.ts';

/** Added to variances, where those of pictures are 1. */
const EPSILON = 5e-4;
const PICTURES = 1024;
const WINDOWS_PER_PICTURE = 32;
const STREAM = 0x7768;

interface Stem {
  readonly weights: Value;
  /** [filters, channels, height, width]. */
  readonly shape: readonly [number, number, number, number];
}

/**
 * Replaces the weights of the convolution that reads the pictures: for each direction in which windows of the training pictures vary, from the
 * most on, a filter and its negative. Filters that are left over stay as they are, scaled to a variance of 1.
 *
 * @throws {BnnError} E_USAGE when the network does not begin with a convolution of float weights.
 */
export async function whitenStem(
  { graph }: Model,
  { model, normalize, validation, seed, brokenImages: onBroken }: Recipe,
  dataset: Pick<Dataset, 'train' | 'height' | 'width'>,
): Promise<void> {
  const { weights, shape } = stemOf(graph.inputs[0], model);
  const learned = validation > 0 ? holdOut(dataset.train, validation, seed).train : dataset.train;
  const pictures = samplePictures(learned, PICTURES, seed);
  const batches = new Batcher(pictures, { batchSize: Math.min(64, pictures.count), normalize, onBroken });
  const rng = new Rng(seed, STREAM);
  const windows: number[][] = [];
  try {
    for await (const { images, count } of batches.epoch(0))
      for (let picture = 0; picture < count; picture++)
        for (let k = 0; k < WINDOWS_PER_PICTURE; k++) windows.push(windowAt(images, picture, shape, dataset, rng));
  } finally {
    await batches.close();
  }
  const whitened = whiteningFilters(covarianceOf(windows), filtersOf(weights, shape[0]));
  graph.setConstant(weights, tensor('float32', shape, Float32Array.from(whitened.to1DArray())));
}

function stemOf(input: Value | undefined, network: string): Stem {
  const conv = input?.uses.map(({ node }) => node).find((node) => node.is('Conv') && node.int('group', 1) === 1);
  const weights = conv?.input(1);
  const [filters, channels, height, width] = weights?.constant?.shape ?? [];
  if (
    weights == null ||
    filters === undefined ||
    channels === undefined ||
    height === undefined ||
    width === undefined
  ) {
    throw new BnnError(
      'E_USAGE',
      `whitenStem is on, but ${network} does not begin with a convolution of float weights`,
      {
        hint: 'leave it out',
      },
    );
  }
  return { weights, shape: [filters, channels, height, width] };
}

function filtersOf({ constant }: Value, count: number): Matrix {
  const data = constant?.data as Float32Array;
  return Matrix.from1DArray(count, data.length / count, data);
}

/** A window at a random place of a picture, as a filter of the graph lies: channel, row, column. */
function windowAt(
  images: Float32Array,
  picture: number,
  [, channels, rows, columns]: Stem['shape'],
  { height, width }: Pick<Dataset, 'height' | 'width'>,
  rng: Rng,
): number[] {
  const top = rng.below(Math.max(1, height - rows + 1));
  const left = rng.below(Math.max(1, width - columns + 1));
  const area = rows * columns;
  return Array.from({ length: channels * area }, (_, i) => {
    const y = picture * height + top + Math.floor((i % area) / columns);
    return images[(y * width + left + (i % columns)) * channels + Math.floor(i / area)] ?? 0;
  });
}

function covarianceOf(windows: number[][]): Matrix {
  const vectors = new Matrix(windows);
  const centred = vectors.subRowVector(vectors.mean('column'));
  return centred.transpose().mmul(centred).div(windows.length);
}

/**
 * @param covariance  of the windows, n × n.
 * @param filters     as they are, each a row of n.
 * @returns rows 2i and 2i + 1 are the filter of the i-th direction and its negative.
 */
export function whiteningFilters(covariance: Matrix, filters: Matrix): Matrix {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(covariance, { assumeSymmetric: true });
  const directions = realEigenvalues
    .map((variance, column) => ({ variance, vector: eigenvectorMatrix.getColumnVector(column).transpose() }))
    .sort((a, b) => b.variance - a.variance);
  const rows = Array.from({ length: filters.rows }, (_, row) => {
    const direction = directions[row >> 1];
    const own = filters.getRowVector(row);
    const { variance, vector } = direction ?? { variance: varianceAlong(own, covariance), vector: own };
    const sign = direction !== undefined && row % 2 === 1 ? -1 : 1;
    return Matrix.mul(vector, sign / Math.sqrt(Math.max(0, variance) + EPSILON)).to1DArray();
  });
  return new Matrix(rows);
}

function varianceAlong(filter: Matrix, covariance: Matrix): number {
  return filter.mmul(covariance).mmul(filter.transpose()).get(0, 0);
}
