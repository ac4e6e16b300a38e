/**
 * WebDataset: tar files ("shards") of pictures `key.jpg` and their classes `key.cls`, a number as text (github.com/webdataset, "The
 * WebDataset format"). The headers are read once; a picture is then read from its place in its shard, so shuffling is a permutation of
 * all pictures and a run resumes exactly, as with separate files.
 */

import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { BnnError, fromSystemError } from '../errors.ts';
import { expandBraces } from './brace-pattern.ts';
import { CLASS_LIST, parseClassList, readClassList } from './class-list.ts';
import type { Dataset, FileSplit, LoadOptions } from './dataset.ts';
import { createFileSplit, imageSizeOf, limitedOrder } from './file-split.ts';
import { limitOf } from './limits.ts';
import { IMAGENET_STATISTICS } from './normalization.ts';
import { type PictureRanges, packTexts, selectPictures, textAt } from './picture-source.ts';
import { createSharedFloats, createSharedInts } from './shared-memory.ts';
import { fileSize } from './source-files.ts';
import { readShard, type ShardSample } from './webdataset-shard.ts';

/** A shard whose name, or whose folder's name, has one of these words is for evaluation. */
const HELD_OUT = /(?:^|[^a-z])(?:val|valid|validation|test)(?:[^a-z]|$)/i;
const SHARDS_AT_ONCE = 8;

/**
 * Indexes the shards of a folder (and of the folders in it), or those that a brace pattern stands for. Shards with `val` or `test` in
 * the name are the test split, the others the training split.
 *
 * @throws {BnnError} E_NOT_FOUND when there is no shard; E_FORMAT with shard and key when a picture has no class or a shard is damaged.
 */
export async function loadWebdataset(options: LoadOptions): Promise<Dataset> {
  if (options.dir === undefined) {
    throw new BnnError('E_USAGE', 'the data set webdataset needs its shards', {
      hint: "add --data DIR, or --data '/data/{train-{000..146},val-{00..06}}.tar'",
    });
  }
  const size = imageSizeOf(options);
  const isPattern = options.dir.includes('{') || options.dir.endsWith('.tar');
  const shards = isPattern ? expandBraces(options.dir).map((path) => resolve(path)) : await findShards(options.dir);
  const isHeldOut = (path: string): boolean => HELD_OUT.test(basename(path)) || HELD_OUT.test(basename(dirname(path)));
  const index = await indexShards(shards, options);
  const parts = [false, true].map((held) => index.filter(({ path }) => isHeldOut(path) === held));
  const [train, test] = parts.map((part) => toSplit(part, size));
  if (train === undefined || test === undefined) throw new Error('internal: two parts');
  const root = isPattern ? dirname(shards[0] ?? '.') : resolve(options.dir);
  const classes = await nameClasses(root, [train, test]);
  const used = {
    train: limitSplit(train, limitOf('limitTrain', options.limitTrain)),
    test: limitSplit(test, limitOf('limitTest', options.limitTest)),
  };
  return {
    name: 'webdataset',
    classes,
    height: size,
    width: size,
    channels: 3,
    ...used,
    ...IMAGENET_STATISTICS,
    fingerprint: fingerprint([used.train, used.test]),
    root,
  };
}

async function findShards(dir: string): Promise<string[]> {
  const root = resolve(dir);
  const found: string[] = [];
  try {
    for (const entry of await readdir(root, { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue;
      const path = join(root, entry.name);
      if (entry.name.endsWith('.tar')) found.push(path);
      else if (entry.isDirectory()) {
        const inside = (await readdir(path)).filter((name) => name.endsWith('.tar') && !name.startsWith('.'));
        found.push(...inside.map((name) => join(path, name)));
      }
    }
  } catch (error) {
    throw fromSystemError(error, 'read the folder', root);
  }
  if (found.length > 0) return found.sort();
  throw new BnnError('E_NOT_FOUND', 'no .tar files here, nor in the folders below', {
    at: root,
    hint: 'expected e.g. train-000.tar and val-000.tar',
  });
}

interface IndexedShard {
  readonly path: string;
  readonly samples: readonly ShardSample[];
}

async function indexShards(paths: readonly string[], { onProgress }: LoadOptions): Promise<IndexedShard[]> {
  const sizes = await Promise.all(paths.map(fileSize));
  const totalBytes = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  const shards: IndexedShard[] = [];
  let doneBytes = 0;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < paths.length) {
      const i = next++;
      const path = paths[i] ?? '';
      shards[i] = { path, samples: await readShard(path) };
      doneBytes += sizes[i] ?? 0;
      onProgress?.({ phase: 'read', doneBytes, totalBytes });
    }
  };
  await Promise.all(Array.from({ length: SHARDS_AT_ONCE }, lane));
  return shards;
}

function toSplit(shards: readonly IndexedShard[], size: number): FileSplit {
  const samples = shards.flatMap(({ samples: some }) => some);
  const offsets = createSharedFloats(samples.length);
  const sizes = createSharedInts(samples.length);
  const shardOf = createSharedInts(samples.length);
  let next = 0;
  for (const [shard, { samples: some }] of shards.entries()) {
    for (const { picture } of some) {
      offsets[next] = picture.offset;
      sizes[next] = picture.size;
      shardOf[next++] = shard;
    }
  }
  const pictures: PictureRanges = {
    kind: 'ranges',
    shards: shards.map(({ path }) => path),
    shardOf,
    offsets,
    sizes,
    names: packTexts(samples.map(({ picture }) => picture.name)),
  };
  const labels = samples.map(({ label }) => label);
  return createFileSplit(pictures, labels, size);
}

function limitSplit(split: FileSplit, limit: number): FileSplit {
  const order = limitedOrder(split.count, limit);
  if (order === undefined) return split;
  const labels = createSharedInts(order.length);
  for (const [i, index] of order.entries()) labels[i] = split.labels[index] ?? 0;
  return { ...split, count: order.length, labels, pictures: selectPictures(split.pictures, order) };
}

/** Names from the list of classes beside the shards; without one, the numbers up to the largest. */
async function nameClasses(root: string, splits: readonly FileSplit[]): Promise<string[]> {
  const largest = splits.reduce((most, { labels }) => labels.reduce((a, b) => Math.max(a, b), most), -1);
  const text = await readClassList(root);
  if (text === undefined) return Array.from({ length: largest + 1 }, (_, label) => String(label));
  const names = parseClassList(text, () => false).map(({ name }) => name);
  if (largest < names.length) return names;
  throw new BnnError('E_FORMAT', `a picture has class ${largest}, but ${names.length} classes are listed`, {
    at: join(root, CLASS_LIST),
    hint: 'the first line is class 0',
  });
}

/** sha256 (hex) over shard, name, place, size and class of every picture. */
function fingerprint(splits: readonly FileSplit[]): string {
  const hash = createHash('sha256');
  for (const { pictures, labels, count } of splits) {
    if (pictures.kind !== 'ranges') throw new Error('internal: no shards');
    for (let i = 0; i < count; i++) {
      const shard = basename(pictures.shards[pictures.shardOf[i] ?? 0] ?? '');
      hash.update(
        `${shard}\0${textAt(pictures.names, i)}\0${pictures.offsets[i]}\0${pictures.sizes[i]}\0${labels[i]}\n`,
      );
    }
    hash.update('\n');
  }
  return hash.digest('hex');
}
