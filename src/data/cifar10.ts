/**
 * CIFAR-10: 50000 + 10000 colour pictures, 32x32, 10 classes (A. Krizhevsky, "Learning multiple layers of features from tiny
 * images", 2009). Reads the binary and the Python layout, from a folder or a .tar.gz archive.
 */

import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { env } from 'node:process';
import { BnnError } from '../errors.ts';
import { CIFAR10_BINARY, CIFAR10_PYTHON, type CifarLayout, type CifarRecords } from './cifar10-layouts.ts';
import {
  createSharedBytes,
  createSharedInts,
  type Dataset,
  fingerprintOf,
  type LoadOptions,
  type MemorySplit,
} from './dataset.ts';
import { downloadFile } from './download.ts';
import { limitOf, refuseImageSize } from './limits.ts';
import { fileSize, openArchive, openFolder, type SourceFiles } from './source-files.ts';

const SIZE = 32;
const CHANNELS = 3;
const PLANE = SIZE * SIZE;
const IMAGE_BYTES = PLANE * CHANNELS;
/** Of the 50000 training images / 255, population statistics. */
const MEAN = [0.4914, 0.48216, 0.44653];
const STD = [0.24703, 0.24349, 0.26159];
const CLASSES = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];

const LAYOUTS = [CIFAR10_BINARY, CIFAR10_PYTHON];
const OFFICIAL = {
  url: 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
  file: 'cifar-10-binary.tar.gz',
  sizeBytes: 170_052_171,
  md5: 'c32a1d4ab5d03f1284b67883e8d87530',
};

/**
 * Loads CIFAR-10 from `dir` (a folder with the batches, one above it, or an archive), by default from the cache folder.
 *
 * @throws {BnnError} E_NOT_FOUND with the places looked at; E_FORMAT with the file, its expected and found bytes.
 */
export async function loadCifar10(options: LoadOptions): Promise<Dataset> {
  refuseImageSize('cifar10', SIZE, options.imageSize);
  const limitTrain = limitOf('limitTrain', options.limitTrain);
  const limitTest = limitOf('limitTest', options.limitTest);
  const { files, layout } = await locate(options);
  const train = await readSplit(files, layout, layout.train, limitTrain);
  const test = await readSplit(files, layout, layout.test, limitTest);
  return {
    name: 'cifar10',
    classes: CLASSES,
    height: SIZE,
    width: SIZE,
    channels: CHANNELS,
    train,
    test,
    mean: MEAN,
    std: STD,
    fingerprint: fingerprintOf([train, test]),
    root: files.root,
  };
}

interface Located {
  readonly files: SourceFiles;
  readonly layout: CifarLayout;
}

async function locate(options: LoadOptions): Promise<Located> {
  const root = options.dir === undefined ? defaultFolder() : resolve(options.dir);
  if ((await fileSize(root)) !== undefined) return openPacked(root, options);
  for (const layout of LAYOUTS) {
    for (const folder of [root, join(root, layout.folder)]) {
      const files = openFolder(folder);
      // Any one batch decides, so that a folder with a batch missing is reported as such.
      for (const batch of [...layout.train, ...layout.test]) {
        if ((await files.sizeOf(batch)) !== undefined) return { files, layout };
      }
    }
    const archive = join(root, layout.archive);
    if ((await fileSize(archive)) !== undefined) return openPacked(archive, options);
  }
  const archive = join(root, OFFICIAL.file);
  if (options.download !== true) {
    const wanted = LAYOUTS.flatMap((layout) => [layout.folder, layout.archive]).join(', ');
    throw new BnnError('E_NOT_FOUND', `no CIFAR-10 batches here, nor in any of ${wanted} below`, {
      at: root,
      hint: `give the folder by --data DIR, or add --download to fetch ${OFFICIAL.url} (162 MiB) into it`,
    });
  }
  await downloadFile(OFFICIAL.url, archive, {
    checksum: { algorithm: 'md5', hex: OFFICIAL.md5 },
    sizeBytes: OFFICIAL.sizeBytes,
    onProgress: (doneBytes, totalBytes) => options.onProgress?.({ phase: 'download', doneBytes, totalBytes }),
  });
  return openPacked(archive, options);
}

function defaultFolder(): string {
  const cache = env['XDG_CACHE_HOME'];
  return join(cache === undefined || cache === '' ? join(homedir(), '.cache') : cache, 'bnn-toolchain', 'cifar10');
}

async function openPacked(path: string, options: LoadOptions): Promise<Located> {
  const wanted = new Set(LAYOUTS.flatMap((layout) => [...layout.train, ...layout.test]));
  const maximumBytes = Math.max(...LAYOUTS.map((layout) => layout.maximumBytes));
  const totalBytes = await fileSize(path);
  const files = await openArchive(path, wanted, maximumBytes, (doneBytes) =>
    options.onProgress?.({ phase: 'read', doneBytes, totalBytes }),
  );
  for (const layout of LAYOUTS) {
    for (const batch of [...layout.train, ...layout.test]) {
      if ((await files.sizeOf(batch)) !== undefined) return { files, layout };
    }
  }
  throw new BnnError('E_FORMAT', `the archive holds none of the CIFAR-10 batches (${[...wanted].join(', ')})`, {
    at: path,
  });
}

async function readSplit(
  files: SourceFiles,
  layout: CifarLayout,
  batches: readonly string[],
  limit: number,
): Promise<MemorySplit> {
  const parts: CifarRecords[] = [];
  let stored = 0;
  for (const batch of batches) {
    const at = files.nameOf(batch);
    const sizeBytes = await files.sizeOf(batch);
    if (sizeBytes === undefined) {
      throw new BnnError('E_NOT_FOUND', `the batch ${batch} is missing`, {
        at,
        hint: 'give a folder with all six batches, or add --download with another folder',
      });
    }
    layout.checkSize(sizeBytes, at);
    // The batches beyond the limit are only checked, not read.
    if (stored >= limit) continue;
    const records = layout.decode(await files.read(batch), at);
    parts.push(records);
    stored += records.count;
  }
  const count = Math.min(stored, limit);
  const images = createSharedBytes(count * IMAGE_BYTES);
  const labels = createSharedInts(count);
  let next = 0;
  for (const part of parts) {
    for (let i = 0; i < part.count && next < count; i++, next++) {
      labels[next] = part.labelOf(i);
      interleave(part.pixels, part.pixelsAt(i), images, next * IMAGE_BYTES);
    }
  }
  return {
    kind: 'memory',
    count,
    height: SIZE,
    width: SIZE,
    channels: CHANNELS,
    mean: MEAN,
    std: STD,
    images,
    labels,
  };
}

/** One image from three planes (channel-major) to pixels (channels last). */
function interleave(planes: Uint8Array, from: number, pixels: Uint8Array, to: number): void {
  for (let p = 0; p < PLANE; p++, to += CHANNELS) {
    pixels[to] = planes[from + p] ?? 0;
    pixels[to + 1] = planes[from + PLANE + p] ?? 0;
    pixels[to + 2] = planes[from + 2 * PLANE + p] ?? 0;
  }
}
