/**
 * WebDataset: tar files ("shards") of pictures `key.jpg` and their classes `key.cls`, a number as text (github.com/webdataset, "The
 * WebDataset format"). The headers are read once; a picture is then read from its place in its shard, so shuffling is a permutation of
 * all pictures and a run resumes exactly, as with separate files.
 */

import { readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { PictureFrame } from '../../core/pictures/preprocessing.ts';
import { BnnError, fromSystemError } from '../../errors.ts';
import type { Dataset, FileSplit, LoadOptions } from '../dataset.ts';
import { fileSize } from '../files/source-files.ts';
import { CLASS_LIST, parseClassList, readClassList } from '../folders/class-list.ts';
import { nameSome } from '../folders/split-folders.ts';
import { expandBraces } from '../formats/brace-pattern.ts';
import { readShard, type ShardSample } from '../formats/webdataset-shard.ts';
import { type PictureRanges, packTexts, pictureName, selectPictures } from '../pictures/picture-source.ts';
import { createSharedFloats, createSharedInts } from '../shared-memory.ts';
import { createFileSplit, frameOf, limitedOrder } from '../splits/file-split.ts';
import { limitOf } from '../splits/limits.ts';
import { pictureDataset } from './picture-dataset.ts';

/** Words in the name of a shard, or of its folder, that say what it is for. */
const LEARNED = /(?:^|[^a-z])(?:train|training)(?:[^a-z]|$)/i;
const HELD_OUT = /(?:^|[^a-z])(?:val|valid|validation|test)(?:[^a-z]|$)/i;
const SHARDS_AT_ONCE = 8;
/** Without a list of classes: a damaged label should not become a network with millions of outputs. */
const MOST_CLASSES = 100_000;

/**
 * Indexes the shards of a folder (and of the folders in it), or those that a brace pattern stands for. Shards with `val` or `test` in
 * the name are the test split, the others the training split; where the name says neither, that of its folder does, and where none says anything, that of
 * the data set's place.
 *
 * @throws {BnnError} E_NOT_FOUND when there is no shard; E_FORMAT with shard and key when a picture has no class or a shard is damaged.
 */
export async function loadWebdataset(options: LoadOptions): Promise<Dataset> {
  if (options.dir === undefined) {
    throw new BnnError('E_USAGE', 'the data set webdataset needs its shards', {
      hint: "add --data DIR, or --data '/data/{train-{000..146},val-{00..06}}.tar'",
    });
  }
  const frame = frameOf(options);
  const isPattern = options.dir.includes('{') || options.dir.endsWith('.tar');
  const shards = isPattern ? expandBraces(options.dir).map((path) => resolve(path)) : await findShards(options.dir);
  const place = isPattern ? resolve(dirname(`${options.dir.split('{')[0]}_`)) : resolve(options.dir);
  const index = await indexShards(shards, options);
  const held = heldOutOf(shards, place);
  const parts = [false, true].map((isHeld) => index.filter(({ path }) => held.has(path) === isHeld));
  const [train, test] = parts.map((part) => toSplit(part, frame));
  if (train === undefined || test === undefined) throw new Error('internal: two parts');
  const root = isPattern ? dirname(shards[0] ?? '.') : resolve(options.dir);
  const classes = await nameClasses(root, [train, test]);
  const used = {
    train: limitSplit(train, limitOf('limitTrain', options.limitTrain)),
    test: limitSplit(test, limitOf('limitTest', options.limitTest)),
  };
  return pictureDataset({ name: 'webdataset', classes, root, notes: notesOn(index, classes, train) }, used);
}

/**
 * The shards for evaluation: by their own names, else by those of their folders. How the place itself is called tells only where nothing else does:
 * all of `~/test` may be there to try something out, but `/data/val` with shards of bare numbers is what it says.
 */
function heldOutOf(shards: readonly string[], place: string): ReadonlySet<string> {
  const said = new Map(shards.map((path) => [path, purposeOf(path, place)]));
  const isSaid = [...said.values()].some((purpose) => purpose !== undefined);
  const otherwise = isSaid ? undefined : purposeIn(basename(place));
  return new Set(shards.filter((path) => (said.get(path) ?? otherwise) === 'evaluation'));
}

function purposeOf(path: string, place: string): Purpose | undefined {
  const folder = dirname(path);
  return purposeIn(basename(path)) ?? (folder === place ? undefined : purposeIn(basename(folder)));
}

type Purpose = 'training' | 'evaluation';

function purposeIn(name: string): Purpose | undefined {
  if (LEARNED.test(name)) return 'training';
  return HELD_OUT.test(name) ? 'evaluation' : undefined;
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

function toSplit(shards: readonly IndexedShard[], frame: PictureFrame): FileSplit {
  const samples = shards.flatMap(({ samples: some }) => some);
  const offsets = createSharedFloats(samples.length);
  const sizes = createSharedFloats(samples.length);
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
  return createFileSplit(pictures, labels, frame);
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
  const text = await readClassList(root);
  const names = text === undefined ? undefined : parseClassList(text, () => false).map(({ name }) => name);
  const most = names?.length ?? MOST_CLASSES;
  let largest = -1;
  for (const { labels, pictures } of splits) {
    for (const [i, label] of labels.entries()) {
      largest = Math.max(largest, label);
      if (label < most) continue;
      const expected =
        names === undefined ? `without a list of classes at most ${most - 1} is taken` : `${most} classes are listed`;
      throw new BnnError('E_FORMAT', `a picture has class ${label}, but ${expected}`, {
        at: names === undefined ? pictureName(pictures, i) : join(root, CLASS_LIST),
        hint: names === undefined ? `list the classes in ${CLASS_LIST} beside the shards` : 'the first line is class 0',
      });
    }
  }
  return names ?? Array.from({ length: largest + 1 }, (_, label) => String(label));
}

function notesOn(shards: readonly IndexedShard[], classes: readonly string[], { labels, count }: FileSplit): string[] {
  const notes = shards.filter(({ samples }) => samples.length === 0).map(({ path }) => `${path}: no pictures`);
  const used = new Set(labels);
  const unused = classes.filter((_, label) => !used.has(label));
  if (count > 0 && unused.length > 0) {
    notes.push(`no training pictures of ${unused.length} of ${classes.length} classes: ${nameSome(unused)}`);
  }
  return notes;
}
