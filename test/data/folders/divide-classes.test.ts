import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FileSplit, Split } from '../../../src/data/dataset.ts';
import { loadDataset } from '../../../src/data/load-dataset.ts';
import { pictureName } from '../../../src/data/pictures/picture-source.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-divide-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Files that have the names of pictures; none is decoded here. */
async function photos(name: string, classes: Readonly<Record<string, number>>): Promise<string> {
  const root = join(folder, name);
  for (const [label, count] of Object.entries(classes)) {
    await mkdir(join(root, label), { recursive: true });
    for (let i = 0; i < count; i++) await writeFile(join(root, label, `${i}.jpg`), `${label} ${i}`);
  }
  return root;
}

const load = (dir: string, share: number, seed = 1) =>
  loadDataset('image-folder', { dir, split: { share, seed }, imageSize: 32 });

function filesOf(split: Split): string[] {
  const { pictures, count, labels } = split as FileSplit;
  return Array.from({ length: count }, (_, i) => {
    const path = pictureName(pictures, i);
    return `${labels[i]} ${basename(dirname(path))} ${basename(path)}`;
  });
}

function countByClass(split: Split): number[] {
  const counts: number[] = [];
  for (const label of split.labels) counts[label] = (counts[label] ?? 0) + 1;
  return counts;
}

describe('a folder of classes alone', () => {
  it.each([
    [0.2, [2, 1, 8, 1]],
    [0.5, [5, 1, 20, 2]],
    [0.01, [1, 1, 1, 1]],
    [0.9, [9, 1, 36, 2]],
  ])('has %f of each class to test on, rounded, with one at least on both sides', async (share, expected) => {
    const root = await photos('some', { a: 10, b: 2, c: 40, d: 3 });
    const { train, test, classes } = await load(root, share);
    expect(classes).toEqual(['a', 'b', 'c', 'd']);
    expect(countByClass(test)).toEqual(expected);
    const all = [...filesOf(train), ...filesOf(test)];
    expect(all).toHaveLength(55);
    expect(new Set(all).size).toBe(55);
    for (const file of all) expect(file[0]).toBe(String(['a', 'b', 'c', 'd'].indexOf(file[2]!)));
  });

  it('is divided by the seed and the names: the same again, another with another seed', async () => {
    const root = await photos('seeds', { a: 30, b: 30 });
    const first = await load(root, 0.3);
    const again = await load(root, 0.3);
    const other = await load(root, 0.3, 2);
    expect(filesOf(again.test)).toEqual(filesOf(first.test));
    expect(again.fingerprint).toBe(first.fingerprint);
    expect(filesOf(other.test)).not.toEqual(filesOf(first.test));
    expect(other.fingerprint).not.toBe(first.fingerprint);
    // Not the same places in each class.
    const places = (label: string) => filesOf(first.test).flatMap((file) => (file[2] === label ? [file.slice(4)] : []));
    expect(places('a')).not.toEqual(places('b'));
  });

  it('a class that grows leaves the others as they were divided', async () => {
    const before = await load(await photos('grown', { a: 30, b: 30 }), 0.3);
    const after = await load(await photos('grown', { a: 30, b: 33 }), 0.3);
    const ofA = (split: Split) => filesOf(split).filter((file) => file.includes(' a '));
    expect(ofA(after.test)).toEqual(ofA(before.test));
  });

  it('what is no picture is counted by its reason', async () => {
    const root = await photos('mixed', { a: 3, b: 3 });
    await writeFile(join(root, 'a', 'notes.txt'), 'not a picture');
    const { notes } = await load(root, 0.3);
    expect(notes?.join()).toMatch(/1 left out: other files \.txt \(1\)/);
  });

  it('is refused with a class of one picture, an empty one, or when it is divided', async () => {
    await expect(load(await photos('single', { a: 5, b: 1 }), 0.2)).rejects.toMatchObject({
      code: 'E_FORMAT',
      message: 'the class "b" has one picture, which cannot be learned from and tested on',
      at: join(folder, 'single/b'),
    });
    await expect(load(await photos('empty', { a: 5, b: 0 }), 0.2)).rejects.toMatchObject({
      message: 'the class "b" has no pictures',
    });
    await expect(load(await photos('divided', { train: 2, test: 2 }), 0.2)).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringContaining('divided already'),
    });
    await expect(load(join(folder, 'nothing'), 0.2)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await mkdir(join(folder, 'bare'));
    await expect(load(join(folder, 'bare'), 0.2)).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: 'no folders of pictures, one for each class',
    });
  });

  it('without a share, the error names the option', async () => {
    const dir = await photos('undivided', { a: 3, b: 3 });
    await expect(loadDataset('image-folder', { dir })).rejects.toMatchObject({
      hint: expect.stringContaining('--split 0.2'),
    });
  });
});
