/** MNIST: 60000 + 10000 grey pictures of digits, 28x28, read from IDX files. The package `@bnn-toolchain/mnist` has them. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readRegularFile } from '../../core/files/regular-file-io.ts';
import { BnnError } from '../../errors.ts';
import type { MemorySplit } from '../dataset.ts';
import { type Dataset, fingerprintOf, type LoadOptions } from '../dataset.ts';
import { fileSize } from '../files/source-files.ts';
import { decodeIdx } from '../formats/idx.ts';
import { createSharedBytes, createSharedInts } from '../shared-memory.ts';
import { limitOf, refuseImageSize } from '../splits/limits.ts';

const SIZE = 28;
const CLASSES = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];
/** Of the 60000 training images / 255, population statistics. */
const MEAN = [0.1307];
const STD = [0.3081];
/** Both spellings are in circulation. */
const SUFFIXES = ['-ubyte', '-ubyte.gz', '.ubyte', '.ubyte.gz'];

/**
 * Loads MNIST (or a set in the same files, such as Fashion-MNIST) from `dir`, or from the embedded copy.
 *
 * @throws {BnnError} E_NOT_FOUND, E_FORMAT, E_SHAPE with the file, what was found and what was expected.
 */
export async function loadMnist(options: LoadOptions): Promise<Dataset> {
  refuseImageSize('mnist', SIZE, options.imageSize);
  const root = options.dir === undefined ? embeddedFolder() : resolve(options.dir);
  const train = await readSplit(root, 'train', limitOf('limitTrain', options.limitTrain));
  const test = await readSplit(root, 't10k', limitOf('limitTest', options.limitTest));
  return {
    name: 'mnist',
    classes: CLASSES,
    height: SIZE,
    width: SIZE,
    channels: 1,
    train,
    test,
    mean: MEAN,
    std: STD,
    fingerprint: fingerprintOf([train, test]),
    root,
  };
}

/** In a clone; both `src/data/sets` and `dist/data/sets` lie three levels below the package. */
const IN_CLONE = fileURLToPath(new URL('../../../packages/mnist/data', import.meta.url));

/**
 * The four files of a set like MNIST: pictures and labels to learn from, pictures and labels to test on.
 *
 * @param dir  a folder; the embedded copy unless told.
 * @throws {BnnError} E_NOT_FOUND.
 */
export async function mnistFiles(dir?: string): Promise<readonly string[]> {
  const root = dir === undefined ? embeddedFolder() : resolve(dir);
  const files = (prefix: string) => [findIdx(root, `${prefix}-images`, 3), findIdx(root, `${prefix}-labels`, 1)];
  return Promise.all([...files('train'), ...files('t10k')]);
}

function embeddedFolder(): string {
  if (existsSync(IN_CLONE)) return IN_CLONE;
  try {
    return join(dirname(createRequire(import.meta.url).resolve('@bnn-toolchain/mnist/package.json')), 'data');
  } catch (cause) {
    throw new BnnError('E_NOT_FOUND', 'the npm package "@bnn-toolchain/mnist", which has MNIST, is not installed', {
      hint: 'npm install @bnn-toolchain/mnist, or give a folder with the IDX files by --data DIR',
      cause,
    });
  }
}

async function readSplit(root: string, prefix: 'train' | 't10k', limit: number): Promise<MemorySplit> {
  const imagesPath = await findIdx(root, `${prefix}-images`, 3);
  const labelsPath = await findIdx(root, `${prefix}-labels`, 1);
  const images = decodeIdx(await readRegularFile(imagesPath), 3, imagesPath);
  const labels = decodeIdx(await readRegularFile(labelsPath), 1, labelsPath);
  const [stored = 0, height = 0, width = 0] = images.shape;
  if (height !== SIZE || width !== SIZE) {
    throw new BnnError('E_SHAPE', `images of ${height}x${width} pixels, expected ${SIZE}x${SIZE}`, { at: imagesPath });
  }
  if (labels.data.length !== stored) {
    throw new BnnError('E_SHAPE', `${labels.data.length} labels for ${stored} images`, { at: labelsPath });
  }
  const wrong = labels.data.findIndex((label) => label >= CLASSES.length);
  if (wrong >= 0) {
    throw new BnnError('E_FORMAT', `label ${labels.data[wrong]} of image ${wrong}, expected 0 to 9`, {
      at: labelsPath,
    });
  }
  const count = Math.min(stored, limit);
  const pixels = createSharedBytes(count * SIZE * SIZE);
  pixels.set(images.data.subarray(0, pixels.length));
  const classIndices = createSharedInts(count);
  classIndices.set(labels.data.subarray(0, count));
  return {
    kind: 'memory',
    count,
    height: SIZE,
    width: SIZE,
    channels: 1,
    mean: MEAN,
    std: STD,
    images: pixels,
    labels: classIndices,
  };
}

async function findIdx(root: string, stem: string, rank: number): Promise<string> {
  for (const suffix of SUFFIXES) {
    const path = join(root, `${stem}-idx${rank}${suffix}`);
    if ((await fileSize(path)) !== undefined) return path;
  }
  throw new BnnError('E_NOT_FOUND', `no file ${stem}-idx${rank}-ubyte (or .gz) in the folder`, {
    at: root,
    hint: 'give the folder with the four MNIST files by --data DIR, or leave --data out for the embedded copy',
  });
}
