/**
 * Pictures in folders named by their class: DIR/train/<class>/*, DIR/test/<class>/* (or val). The label of a class is the rank of
 * its folder's name in plain code-unit order, as torchvision's ImageFolder has it.
 */

import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { extname, join, relative, resolve } from 'node:path';
import { Rng } from '../core/rng.ts';
import { BnnError, fromSystemError } from '../errors.ts';
import type { Dataset, FileSplit, LoadOptions } from './dataset.ts';
import { createSharedInts } from './shared-memory.ts';
import { limitOf } from './limits.ts';
import { IMAGENET_STATISTICS } from './normalization.ts';
import { fileSize } from './source-files.ts';

const DEFAULT_SIZE = 224;
/** The usual evaluation of ImageNet: shorter side to 256, of which the middle 224 are used; kept for other sizes. */
const RESIZE_RATIO = 256 / 224;
const EXTENSIONS = new Set(['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif']);
/** The files lie sorted by class, so a limit takes them in this one shuffled order: every class keeps its share. */
const LIMIT_SEED = 0x1ace;
const STATS_AT_ONCE = 64;

interface Listing {
  readonly folder: string;
  /** Folder names in order. */
  readonly classes: readonly string[];
  /** Absolute paths of each class. */
  readonly files: readonly (readonly string[])[];
}

/**
 * Lists an image folder; pictures are decoded later, when a batch needs them.
 *
 * @throws {BnnError} E_NOT_FOUND when there are no pictures, E_FORMAT when the test split has a class that training has not.
 */
export async function loadImageFolder(options: LoadOptions): Promise<Dataset> {
  if (options.dir === undefined) {
    throw new BnnError('E_USAGE', 'the data set image-folder needs a folder', { hint: 'add --data DIR' });
  }
  const size = options.imageSize ?? DEFAULT_SIZE;
  if (!Number.isSafeInteger(size) || size < 1) {
    throw new BnnError('E_USAGE', `image size ${size}, expected a whole number of pixels`, {
      hint: 'e.g. --image-size 224',
    });
  }
  const root = resolve(options.dir);
  const train = await list(join(root, 'train'));
  const test = (await list(join(root, 'test'))) ?? (await list(join(root, 'val')));
  const classes = train?.classes ?? test?.classes;
  if (classes === undefined) {
    throw new BnnError('E_NOT_FOUND', 'no folder train, test or val with one folder of pictures for each class', {
      at: root,
      hint: 'expected e.g. train/cat/1.jpg and test/cat/2.jpg below it',
    });
  }
  const splits = {
    train: toSplit(train, classes, size, limitOf('limitTrain', options.limitTrain)),
    test: toSplit(test, classes, size, limitOf('limitTest', options.limitTest)),
  };
  return {
    name: 'image-folder',
    classes,
    height: size,
    width: size,
    channels: 3,
    ...splits,
    ...IMAGENET_STATISTICS,
    fingerprint: await fingerprint(root, [splits.train, splits.test]),
    root,
  };
}

/** Undefined when the folder is not there or holds no pictures. */
async function list(folder: string): Promise<Listing | undefined> {
  let entries: Awaited<ReturnType<typeof readFolder>>;
  try {
    entries = await readFolder(folder);
  } catch (error) {
    const known = fromSystemError(error, 'read the folder', folder);
    if (known instanceof BnnError && known.code === 'E_NOT_FOUND') return undefined;
    throw known;
  }
  const classes = entries
    .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith('.'))
    .map((entry) => entry.name)
    .sort();
  const files: string[][] = [];
  for (const name of classes) files.push(await listPictures(join(folder, name)));
  return files.some((paths) => paths.length > 0) ? { folder, classes, files } : undefined;
}

function readFolder(folder: string) {
  return readdir(folder, { withFileTypes: true });
}

async function listPictures(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder))
      .filter((name) => !name.startsWith('.') && EXTENSIONS.has(extname(name).toLowerCase()))
      .sort()
      .map((name) => join(folder, name));
  } catch (error) {
    throw fromSystemError(error, 'read the folder', folder);
  }
}

function toSplit(listing: Listing | undefined, classes: readonly string[], size: number, limit: number): FileSplit {
  const all: { readonly file: string; readonly label: number }[] = [];
  for (const [i, name] of (listing?.classes ?? []).entries()) {
    const label = classes.indexOf(name);
    if (label < 0) {
      throw new BnnError(
        'E_FORMAT',
        `class "${name}" is not among the ${classes.length} classes of the training split`,
        {
          at: join(listing?.folder ?? '', name),
          hint: 'every class needs a folder in train',
        },
      );
    }
    for (const file of listing?.files[i] ?? []) all.push({ file, label });
  }
  const count = Math.min(all.length, limit);
  const order = count < all.length ? new Rng(LIMIT_SEED).permutation(all.length).subarray(0, count) : undefined;
  const used = order === undefined ? all : Array.from(order, (i) => all[i]).filter((entry) => entry !== undefined);
  const labels = createSharedInts(count);
  for (const [i, { label }] of used.entries()) labels[i] = label;
  return {
    kind: 'files',
    count,
    height: size,
    width: size,
    channels: 3,
    ...IMAGENET_STATISTICS,
    labels,
    files: used.map(({ file }) => file),
    resizeShorterSide: Math.round(size * RESIZE_RATIO),
  };
}

async function fingerprint(root: string, splits: readonly FileSplit[]): Promise<string> {
  const hash = createHash('sha256');
  for (const { files, labels } of splits) {
    for (let begin = 0; begin < files.length; begin += STATS_AT_ONCE) {
      const some = files.slice(begin, begin + STATS_AT_ONCE);
      const sizes = await Promise.all(some.map(fileSize));
      for (const [i, file] of some.entries()) {
        const path = relative(root, file).replaceAll('\\', '/');
        hash.update(`${path}\0${sizes[i] ?? 0}\0${labels[begin + i] ?? 0}\n`);
      }
    }
    hash.update('\n');
  }
  return hash.digest('hex');
}
