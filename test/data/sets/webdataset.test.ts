import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { extract, type Header, pack } from 'tar-stream';
import { expect, test } from 'vitest';
import { createBatches } from '../../../src/data/batches/batches.ts';
import type { FileSplit } from '../../../src/data/dataset.ts';
import { TarFile } from '../../../src/data/formats/tar-index.ts';
import { loadDataset } from '../../../src/data/load-dataset.ts';
import { pictureName, readPicture } from '../../../src/data/pictures/picture-source.ts';
import { filesOf, writePicture } from '../pictures.ts';
import { temporaryFolder } from '../temporary-folder.ts';

type Content = readonly (readonly [name: string | Partial<Header>, content: string | Buffer])[];

async function tarOf(content: Content): Promise<Buffer> {
  const tar = pack();
  const chunks: Buffer[] = [];
  for (const [header, bytes] of content) {
    tar.entry(typeof header === 'string' ? { name: header } : (header as Header), bytes as Buffer);
  }
  tar.finalize();
  for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function writeTar(path: string, content: Content): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, await tarOf(content));
}

async function indexOf(path: string): Promise<{ name: string; content: string }[]> {
  const tar = await TarFile.open(path);
  const bytes = await readFile(path);
  const found: { name: string; content: string }[] = [];
  try {
    for await (const { name, offset, size } of tar.entries()) {
      found.push({ name, content: bytes.toString('utf8', offset, offset + size) });
    }
  } finally {
    await tar.close();
  }
  return found;
}

/** Names and contents as tar-stream reads them. */
async function unpack(bytes: Buffer): Promise<{ name: string; content: string }[]> {
  const files: { name: string; content: string }[] = [];
  const reader = extract();
  reader.end(bytes);
  for await (const entry of reader) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
    if (entry.header.type === 'file')
      files.push({ name: entry.header.name, content: Buffer.concat(chunks).toString() });
  }
  return files;
}

test('the index names and finds the files that tar-stream finds', async () => {
  const path = join(await temporaryFolder(), 'x.tar');
  await writeTar(path, [
    ['a.txt', 'hello'],
    ['empty', ''],
    [{ name: 'folder', type: 'directory' }, ''],
    [`${'long/'.repeat(60)}name.txt`, 'x'.repeat(2000)],
    [{ name: 'link', type: 'symlink', linkname: 'a.txt' }, ''],
    ['ünïcode.jpg', 'y'.repeat(512)],
    [{ name: 'with-pax', pax: { comment: 'hi' } }, 'z'.repeat(5000)],
    ['last', '!'],
  ]);
  const found = await indexOf(path);
  expect(found).toEqual(await unpack(await readFile(path)));
  expect(found).toHaveLength(6);
});

/** A header of GNU tar: fields as its manual gives them, the checksum over all bytes with itself as spaces. */
function gnuHeader(name: string, size: number, type: string, binarySize = false): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  if (binarySize) {
    block[124] = 0x80;
    block.writeUInt32BE(size, 132);
  } else block.write(size.toString(8).padStart(11, '0'), 124);
  block.write('        ', 148);
  block.write(type, 156);
  block.write('ustar  \0', 257);
  const sum = block.reduce((a, b) => a + b, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

test("GNU's long names and binary sizes; no zeros at the end", async () => {
  const path = join(await temporaryFolder(), 'x.tar');
  const block = (text: string) => Buffer.concat([Buffer.from(text), Buffer.alloc(512 - text.length)]);
  const long = 'n'.repeat(150);
  await writeFile(
    path,
    Buffer.concat([
      gnuHeader('././@LongLink', long.length + 1, 'L'),
      block(long),
      gnuHeader('n'.repeat(100), 3, '0'),
      block('one'),
      gnuHeader('short', 3, '0', true),
      block('two'),
    ]),
  );
  expect(await indexOf(path)).toEqual([
    { name: long, content: 'one' },
    { name: 'short', content: 'two' },
  ]);
});

test('damaged and compressed files', async () => {
  const path = join(await temporaryFolder(), 'x.tar');
  const whole = await tarOf([
    ['a', 'x'.repeat(1000)],
    ['b', 'y'.repeat(1000)],
  ]);
  await writeFile(path, whole.subarray(0, 2000));
  await expect(indexOf(path)).rejects.toMatchObject({ code: 'E_FORMAT', message: expect.stringContaining('cut off') });
  await truncate(path, 1000);
  await expect(indexOf(path)).rejects.toMatchObject({ message: expect.stringContaining('beyond the end') });
  whole[1540]! ^= 1;
  await writeFile(path, whole);
  await expect(indexOf(path)).rejects.toMatchObject({
    at: `${path} > byte 1536`,
    message: expect.stringContaining('no header'),
  });
  await writeFile(path, gzipSync(whole, { level: 0 }));
  await expect(indexOf(path)).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
});

interface Set {
  readonly dir: string;
  readonly pictures: Map<string, Buffer>;
}

/** Six training pictures in two shards, two for evaluation, of different sizes. */
async function smallSet(): Promise<Set> {
  const dir = await temporaryFolder();
  const pictures = new Map<string, Buffer>();
  const sample = async (key: string, label: number): Promise<Content> => {
    const path = join(dir, 'pictures', `${key}.png`);
    await writePicture(path, 20 + pictures.size, 30 - pictures.size);
    const bytes = await readFile(path);
    pictures.set(`${key}.png`, bytes);
    return [
      [`${key}.cls`, `${label}\n`],
      [`${key}.json`, '{"note": "not used"}'],
      [`${key}.png`, bytes],
    ];
  };
  const shard = async (name: string, samples: readonly (readonly [string, number])[]) => {
    const content = [];
    for (const [key, label] of samples) content.push(...(await sample(key, label)));
    await writeTar(join(dir, 'shards', name), [['__meta.json', '{}'], ...content]);
  };
  await shard('train-00.tar', [
    ['a', 3],
    ['b', 0],
    ['c', 1],
  ]);
  await shard('train-01.tar', [
    ['d', 2],
    ['e', 2],
    ['f', 0],
  ]);
  await shard('val-0.tar', [
    ['g', 1],
    ['h', 3],
  ]);
  return { dir: join(dir, 'shards'), pictures };
}

test('pictures, classes and splits; read from their place in the shard', async () => {
  const { dir, pictures } = await smallSet();
  const data = await loadDataset('webdataset', { dir, imageSize: 8 });
  expect(data.classes).toEqual(['0', '1', '2', '3']);
  const train = data.train as FileSplit;
  const shard = (i: number) => join(dir, `train-0${i}.tar`);
  expect(filesOf(train)).toEqual(
    [...'abc'].map((k) => `${shard(0)} > ${k}.png`).concat([...'def'].map((k) => `${shard(1)} > ${k}.png`)),
  );
  expect([...train.labels]).toEqual([3, 0, 1, 2, 2, 0]);
  expect([...data.test.labels]).toEqual([1, 3]);
  for (let i = 0; i < 6; i++) {
    const name = pictureName(train.pictures, i).split(' > ')[1]!;
    expect(Buffer.compare(await readPicture(train.pictures, i), pictures.get(name)!)).toBe(0);
  }
});

/** Of shards with a picture each, in a folder of that name. */
async function splitOf(root: string, shards: readonly string[], place = ''): Promise<[string[], string[]]> {
  const dir = join(await temporaryFolder(), root);
  await writePicture(join(dir, 'picture.png'), 8, 8);
  const bytes = await readFile(join(dir, 'picture.png'));
  for (const name of shards) {
    await writeTar(join(dir, name), [
      ['a.cls', '0'],
      ['a.png', bytes],
    ]);
  }
  const { train, test } = await loadDataset('webdataset', { dir: join(dir, place), imageSize: 8 });
  const names = (split: FileSplit) => filesOf(split).map((file) => file.slice(dir.length + 1).split(' > ')[0]!);
  return [names(train as FileSplit), names(test as FileSplit)];
}

test.each<[string, string, string[], string[], string?]>([
  ['the name of the place tells nothing', 'test', ['000.tar', 'train-0.tar'], []],
  ['nor with other shards in it', 'imagenet-val-mini', ['train-0.tar'], ['val-0.tar']],
  ['nor in a pattern', 'val', ['x-0.tar'], ['x-test.tar'], '{x-0,x-test}.tar'],
  ['but where nothing else tells', 'val', [], ['000.tar', '001.tar']],
  ['also before a shard', 'val', [], ['000.tar'], '000.tar'],
  ['folders below it do', 'test', ['train/000.tar'], ['val/000.tar']],
  ['also those of a pattern', 'test', ['train/000.tar'], ['val/000.tar'], '{train,val}/000.tar'],
  ['a shard by itself first', 'x', ['val/train-0.tar'], ['train/test-0.tar']],
])('which shards are for evaluation: %s', async (_, root, train, test, place) => {
  expect(await splitOf(root, [...train, ...test], place)).toEqual([train, test]);
});

test('the same batches as the same pictures in folders, shuffled and resumed', async () => {
  const { dir, pictures } = await smallSet();
  const { train } = await loadDataset('webdataset', { dir, imageSize: 8 });
  const folder = await temporaryFolder();
  const names = [...'abcdef'].map((key) => `${key}.png`);
  await mkdir(join(folder, 'train', 'x'), { recursive: true });
  for (const name of names) await writeFile(join(folder, 'train', 'x', name), pictures.get(name)!);
  const { train: plain } = await loadDataset('image-folder', { dir: folder, imageSize: 8 });
  const options = { batchSize: 2, shuffle: true, seed: 4, augment: { padCrop: 0, flip: true, cropScale: 0.2 } };
  for (const [startBatch, prefetch] of [
    [0, 0],
    [1, 2],
  ] as const) {
    const expected = [];
    for await (const { images, indices } of createBatches(plain, { ...options, startBatch }))
      expected.push({ images, indices });
    const found = [];
    for await (const { images, indices } of createBatches(train, { ...options, startBatch, prefetch }))
      found.push({ images, indices });
    expect(found).toEqual(expected);
    expect(found).toHaveLength(3 - startBatch);
  }
});

test('a brace pattern, a list of classes, limits', async () => {
  const { dir } = await smallSet();
  await writeFile(join(dir, 'classes.txt'), 'cat\ndog\nfish\nbird\nworm\n');
  const pattern = join(dir, '{train-{00..01},val-0}.tar');
  const data = await loadDataset('webdataset', { dir: pattern });
  expect([data.train.count, data.test.count, data.classes]).toEqual([6, 2, ['cat', 'dog', 'fish', 'bird', 'worm']]);
  const some = await loadDataset('webdataset', { dir: pattern, limitTrain: 4 });
  expect([some.train.count, some.test.count]).toEqual([4, 2]);
  expect(some.fingerprint).not.toBe(data.fingerprint);
  expect((await loadDataset('webdataset', { dir })).fingerprint).toBe(data.fingerprint);
  await writeFile(join(dir, 'classes.txt'), 'cat\ndog\n');
  await expect(loadDataset('webdataset', { dir })).rejects.toMatchObject({
    message: 'a picture has class 3, but 2 classes are listed',
  });
  await expect(loadDataset('webdataset', { dir: join(dir, 'train-{00..07}.tar') })).rejects.toMatchObject({
    code: 'E_NOT_FOUND',
  });
});

test.each<[string, Content, string]>([
  ['a picture without a class', [['a.jpg', 'x']], 'the sample has a picture but no class (.cls)'],
  [
    'a class without a picture',
    [
      ['a.cls', '1'],
      ['a.ppm', 'x'],
    ],
    'the sample has a class (.cls) but no picture',
  ],
  [
    'a class that is no number',
    [
      ['a.cls', 'cat'],
      ['a.jpg', 'x'],
    ],
    'the class is "cat", expected a number such as 17',
  ],
  [
    'two pictures',
    [
      ['a.jpg', 'x'],
      ['a.png', 'x'],
    ],
    'the sample has two pictures, a.jpg and a.png',
  ],
])('%s', async (_, content, message) => {
  const path = join(await temporaryFolder(), 'train.tar');
  await writeTar(path, content);
  await expect(loadDataset('webdataset', { dir: path })).rejects.toMatchObject({
    message,
    at: expect.stringContaining(`${path} > a`),
  });
});

test('no shards', async () => {
  const dir = await temporaryFolder();
  await expect(loadDataset('webdataset', { dir })).rejects.toMatchObject({ code: 'E_NOT_FOUND', at: dir });
  await expect(loadDataset('webdataset')).rejects.toMatchObject({ code: 'E_USAGE' });
});
