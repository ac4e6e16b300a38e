/** The files of a page that trains a network in a browser. */

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { readRegularFile } from '../core/files/regular-file-io.ts';
import { encodePreprocessing } from '../core/pictures/preprocessing.ts';
import { pictureFormOf } from '../data/dataset.ts';
import { loadMnist, mnistFiles } from '../data/sets/mnist.ts';
import { parseRecipe } from '../training/recipes/parse-recipe.ts';
import { VERSION } from './version.ts';
import { readWebAsset, type Site, titled, writeSiteFiles } from './web-site-io.ts';

const PAGE = ['index.html', 'train.css', 'page.js'] as const;
/** Of MNIST in seconds: what `npm run quickstart` trains by. */
const RECIPE = fileURLToPath(new URL('../../models/mnist-quickstart.json', import.meta.url));
const KERNELS = ['training.wasm', 'training-threads.wasm'] as const;
/** For looking at what the network does. */
const RUNTIME = ['engine.wasm', 'engine-threads.wasm'] as const;
/** In the order of `mnistFiles`. */
const PICTURES = ['train-images.idx.gz', 'train-labels.idx.gz', 'test-images.idx.gz', 'test-labels.idx.gz'] as const;
const TITLE = 'Train a binary network';

export interface TrainingSiteOptions {
  readonly title?: string | undefined;
  /** A folder with four files like those of MNIST; MNIST unless told. */
  readonly data?: string | undefined;
}

/**
 * Writes the page.
 *
 * @throws {BnnError} E_NOT_FOUND, E_FORMAT, E_SHAPE for pictures that are not there or no set like MNIST; E_USAGE for a folder of other
 *   things; E_IO.
 */
export async function writeTrainingSite(folder: string, { title, data }: TrainingSiteOptions = {}): Promise<Site> {
  const facts = Buffer.from(JSON.stringify(await factsOf(data)));
  const html = titled(await readWebAsset('train-site/index.html'), TITLE, title ?? TITLE);
  const contents = new Map<string, Uint8Array>([
    [PAGE[0], html],
    ['style.css', await readWebAsset('site/style.css')],
  ]);
  for (const name of PAGE.slice(1)) contents.set(name, await readWebAsset(`train-site/${name}`));
  contents.set('worker.js', await readWebAsset('train/worker.js'));
  for (const name of KERNELS) contents.set(name, await readWebAsset(`../backends/wasm/${name}`));
  contents.set('bnn-web.js', await readWebAsset('index.js'));
  for (const name of RUNTIME) contents.set(name, await readWebAsset(name));
  contents.set('training.json', facts);
  for (const [i, path] of (await mnistFiles(data)).entries()) {
    contents.set(PICTURES[i] ?? '', packed(await readRegularFile(path)));
  }
  return writeSiteFiles(folder, contents, [KERNELS[1], RUNTIME[1]]);
}

function packed(bytes: Uint8Array): Uint8Array {
  return bytes[0] === 0x1f && bytes[1] === 0x8b ? bytes : gzipSync(bytes, { level: 9 });
}

async function factsOf(data: string | undefined): Promise<object> {
  const recipe = parseRecipe([JSON.parse(await readFile(RECIPE, 'utf8'))], RECIPE);
  const dataset = await loadMnist({ dir: data });
  const { name, classes, height, width, channels, mean, std, train, test } = dataset;
  const preprocessing = { dataset: name, picture: pictureFormOf(dataset), mean, std, classes };
  return {
    ...{ version: VERSION, recipe, classes, height, width, channels, mean, std },
    preprocessing: encodePreprocessing(preprocessing),
    files: PICTURES,
    pictures: { train: train.count, test: test.count },
  };
}
