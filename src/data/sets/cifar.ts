/** Loads the CIFAR data sets: 32x32 colour pictures, in the binary or the Python layout, from a folder or a .tar.gz archive. */

import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { env } from 'node:process';
import { BnnError } from '../../errors.ts';
import { type Dataset, fingerprintOf, type LoadOptions, type MemorySplit } from '../dataset.ts';
import { downloadFile } from '../files/download.ts';
import { fileSize, openArchive, openFolder, type SourceFiles } from '../files/source-files.ts';
import type { CifarFile, CifarLayout, CifarRecords } from '../formats/cifar-layouts.ts';
import type { ChannelStatistics } from '../normalization.ts';
import { createSharedBytes, createSharedInts } from '../shared-memory.ts';
import { limitOf, refuseImageSize } from '../splits/limits.ts';

const SIZE = 32;
const CHANNELS = 3;
const PLANE = SIZE * SIZE;
const IMAGE_BYTES = PLANE * CHANNELS;

/** One of the CIFAR data sets. */
export interface CifarFamily {
  /** As in `--dataset`. */
  readonly name: string;
  /** As people write it. */
  readonly title: string;
  readonly classes: readonly string[];
  /** Of the training images / 255, population statistics. */
  readonly statistics: ChannelStatistics;
  readonly layouts: readonly CifarLayout[];
  /** What `--download` fetches. */
  readonly official: {
    readonly url: string;
    readonly file: string;
    readonly sizeBytes: number;
    readonly md5: string;
  };
}

/**
 * Loads a CIFAR data set from `dir` (a folder with its files, one above it, or an archive), by default from the cache folder.
 *
 * @throws {BnnError} E_NOT_FOUND with the places looked at; E_FORMAT with the file, its expected and found bytes.
 */
export async function loadCifar(family: CifarFamily, options: LoadOptions): Promise<Dataset> {
  const { name, classes, statistics } = family;
  refuseImageSize(name, SIZE, options.imageSize);
  const limitTrain = limitOf('limitTrain', options.limitTrain);
  const limitTest = limitOf('limitTest', options.limitTest);
  const { files, layout } = await locate(family, options);
  const train = await readSplit(files, layout, layout.train, limitTrain, statistics);
  const test = await readSplit(files, layout, layout.test, limitTest, statistics);
  return {
    name,
    classes,
    height: SIZE,
    width: SIZE,
    channels: CHANNELS,
    train,
    test,
    ...statistics,
    fingerprint: fingerprintOf([train, test]),
    root: files.root,
  };
}

interface Located {
  readonly files: SourceFiles;
  readonly layout: CifarLayout;
}

async function locate(family: CifarFamily, options: LoadOptions): Promise<Located> {
  const { layouts, official, title } = family;
  const root = options.dir === undefined ? defaultFolder(family.name) : resolve(options.dir);
  if ((await fileSize(root)) !== undefined) return openPacked(family, root, options);
  for (const layout of layouts) {
    for (const folder of [root, join(root, layout.folder)]) {
      const files = openFolder(folder);
      // Any one batch decides, so that a folder with a batch missing is reported as such.
      for (const { name } of [...layout.train, ...layout.test]) {
        if ((await files.sizeOf(name)) !== undefined) return { files, layout };
      }
    }
    const archive = join(root, layout.archive);
    if ((await fileSize(archive)) !== undefined) return openPacked(family, archive, options);
  }
  const archive = join(root, official.file);
  if (options.download !== true) {
    const wanted = layouts.flatMap((layout) => [layout.folder, layout.archive]).join(', ');
    throw new BnnError('E_NOT_FOUND', `no ${title} batches here, nor in any of ${wanted} below`, {
      at: root,
      hint: `give the folder by --data DIR; bnn-train and bnn-validate fetch ${official.url} (${Math.round(official.sizeBytes / 2 ** 20)} MiB) into it with --download`,
    });
  }
  await downloadFile(official.url, archive, {
    checksum: { algorithm: 'md5', hex: official.md5 },
    sizeBytes: official.sizeBytes,
    onProgress: (doneBytes, totalBytes) => options.onProgress?.({ phase: 'download', doneBytes, totalBytes }),
  });
  return openPacked(family, archive, options);
}

function defaultFolder(name: string): string {
  const cache = env['XDG_CACHE_HOME'];
  return join(cache === undefined || cache === '' ? join(homedir(), '.cache') : cache, 'bnn-toolchain', name);
}

async function openPacked({ layouts, title }: CifarFamily, path: string, options: LoadOptions): Promise<Located> {
  const wanted = new Set(layouts.flatMap((layout) => [...layout.train, ...layout.test].map(({ name }) => name)));
  const maximumBytes = Math.max(...layouts.map((layout) => layout.maximumBytes));
  const totalBytes = await fileSize(path);
  const files = await openArchive(path, wanted, maximumBytes, (doneBytes) =>
    options.onProgress?.({ phase: 'read', doneBytes, totalBytes }),
  );
  for (const layout of layouts) {
    for (const { name } of [...layout.train, ...layout.test]) {
      if ((await files.sizeOf(name)) !== undefined) return { files, layout };
    }
  }
  throw new BnnError('E_FORMAT', `the archive holds none of the ${title} batches (${[...wanted].join(', ')})`, {
    at: path,
  });
}

async function readSplit(
  files: SourceFiles,
  layout: CifarLayout,
  batches: readonly CifarFile[],
  limit: number,
  statistics: ChannelStatistics,
): Promise<MemorySplit> {
  const parts: CifarRecords[] = [];
  let stored = 0;
  for (const { name: batch, images: expected } of batches) {
    const at = files.nameOf(batch);
    const sizeBytes = await files.sizeOf(batch);
    if (sizeBytes === undefined) {
      throw new BnnError('E_NOT_FOUND', `the batch ${batch} is missing`, {
        at,
        hint: 'give a folder with all its files, or let bnn-train fetch them into another one with --download',
      });
    }
    layout.checkSize(sizeBytes, expected, at);
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
    ...statistics,
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
