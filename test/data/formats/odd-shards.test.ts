/** Shards that are damaged, made to do harm, or packed in an unusual way. */

import { open, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { createBatches } from '../../../src/data/batches/batches.ts';
import type { FileSplit } from '../../../src/data/dataset.ts';
import { TarFile } from '../../../src/data/formats/tar-index.ts';
import { loadDataset } from '../../../src/data/load-dataset.ts';
import { filesOf } from '../pictures.ts';
import { pax, paxText, tarFile, tarHeader } from '../tar-blocks.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const END = Buffer.alloc(1024);

async function shardOf(...parts: readonly Buffer[]): Promise<string> {
  const path = join(await temporaryFolder(), 'train-0.tar');
  await writeFile(path, Buffer.concat([...parts, END]));
  return path;
}

const load = (dir: string) => loadDataset('webdataset', { dir, imageSize: 8 });

async function index(path: string): Promise<[name: string, size: number][]> {
  const tar = await TarFile.open(path);
  const found: [string, number][] = [];
  try {
    for await (const { name, size } of tar.entries()) found.push([name, size]);
  } finally {
    await tar.close();
  }
  return found;
}

test.each(['-1536', '-1', 'NaN', '3.5', '1e3', '0x10', ' 5', '18446744073709551615', 'Infinity'])(
  'a pax size of %s ends with its name, not with a loop',
  async (size) => {
    const path = await shardOf(pax({ size }), tarFile('a.png', 'x'), tarFile('a.cls', '0'));
    await expect(load(path)).rejects.toMatchObject({
      code: 'E_FORMAT',
      at: `${path} > byte 0`,
      message: `not a complete tar file: the size ${JSON.stringify(size)} is no number of bytes`,
    });
  },
);

test.each([
  ['no length', 'path=a\n'],
  ['a length that is too long', '99 path=a\n'],
  ['a length of itself alone', '1 2 path=a\n'],
  ['no end of the line', '9 path=abc'],
  ['a million zeros before the length', `${'0'.repeat(1_000_000)}8 path=a\n`],
])('pax records with %s', async (_, text) => {
  const path = await shardOf(paxText(text), tarFile('a.png', 'x'));
  await expect(index(path)).rejects.toMatchObject({
    code: 'E_FORMAT',
    message: 'not a complete tar file: attributes that are no pax records',
  });
});

test('pax records that are taken back, filled up with zeros, or for a name in Unicode', async () => {
  const path = await shardOf(
    pax({ path: 'ü/1.png', size: '2' }),
    tarFile('cut', 'ab'),
    paxText('8 path=\n\0\0\0'),
    tarFile('own.png', 'abc'),
    pax({ path: 'x'.repeat(300) }),
    tarFile('L', 'other name\0', { type: 'L' }),
    tarFile('c', 'd'),
  );
  expect(await index(path)).toEqual([
    ['ü/1.png', 2],
    ['own.png', 3],
    ['other name', 1],
  ]);
});

test('the size of a file is not that of the long link before it; links and folders have no content', async () => {
  const path = await shardOf(
    pax({ size: '3' }),
    tarFile('K', 'target\0', { type: 'K' }),
    tarFile('a', 'abc'),
    tarHeader('hard link', 5000, { type: '1' }),
    tarHeader('folder', 5000, { type: '5' }),
    tarFile('old folder/', ''),
    tarFile('b', 'de'),
  );
  expect(await index(path)).toEqual([
    ['a', 3],
    ['b', 2],
  ]);
});

test('thousands of long names in a row come to an end', async () => {
  const names = Array.from({ length: 5000 }, () => tarFile('././@LongLink', 'n.png\0', { type: 'L' }));
  expect(await index(await shardOf(...names, tarFile('x', 'y')))).toEqual([['n.png', 1]]);
});

test.each<[string, Uint8Array]>([
  ['negative', new Uint8Array(12).fill(0xff)],
  ['beyond 2^53', Uint8Array.of(0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
  ['marked and large', Uint8Array.of(0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)],
  ['no octal digits', Buffer.from('-0000000001\0')],
])('a size field that is %s', async (_, sizeField) => {
  await expect(index(await shardOf(tarHeader('a', 0, { sizeField })))).rejects.toMatchObject({
    code: 'E_FORMAT',
    message: 'not a complete tar file: a size that is no number',
  });
});

test('sparse files do not lie in one piece', async () => {
  for (const parts of [
    [pax({ 'GNU.sparse.major': '1' }), tarFile('a.png', 'x')],
    [tarFile('a.png', 'x', { type: 'S' })],
  ]) {
    await expect(index(await shardOf(...parts))).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
  }
});

test('an empty file, a page of HTML, other compressions', async () => {
  const path = await shardOf();
  await writeFile(path, '');
  await expect(load(path)).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: path,
    message: 'an empty file, expected a tar file',
  });
  await writeFile(path, '<!DOCTYPE html>'.padEnd(1024));
  await expect(load(path)).rejects.toMatchObject({ code: 'E_FORMAT' });
  for (const head of ['28b52ffd', 'fd377a585a00', '425a6839']) {
    await writeFile(path, Buffer.concat([Buffer.from(head, 'hex'), Buffer.alloc(1024)]));
    await expect(load(path)).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
  }
});

const sample = (key: string, label: string) => [tarFile(`${key}.png`, key), tarFile(`${key}.cls`, label)];

test('class numbers are bounded unless the classes are listed', async () => {
  const path = await shardOf(...sample('a', '0'), ...sample('b', '999999999'));
  await expect(load(path)).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: `${path} > b.png`,
    message: 'a picture has class 999999999, but without a list of classes at most 99999 is taken',
  });
  const near = await shardOf(...sample('a', '0'), ...sample('b', '3'));
  expect(await load(near)).toMatchObject({
    classes: ['0', '1', '2', '3'],
    notes: ['no training pictures of 2 of 4 classes: 1, 2'],
  });
});

test.each(['-1', '1.5', '1e3', '', '99999999999', '0x1', '{"label": 1}', '1 2', '٣'])('the class %j', async (label) => {
  const path = await shardOf(...sample('a', label));
  await expect(load(path)).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: `${path} > a.cls`,
    message: `the class is ${JSON.stringify(label)}, expected a number such as 17`,
  });
});

test('a second class of a sample; a shard without pictures', async () => {
  const path = await shardOf(...sample('a', '0'), tarFile('a.cls', '1'));
  await expect(load(path)).rejects.toMatchObject({
    code: 'E_UNSUPPORTED',
    at: `${path} > a`,
    message: 'the sample has two classes, the second in a.cls',
  });
  const notes = await shardOf(tarFile('readme.txt', 'x'));
  expect((await load(notes)).notes).toEqual([`${notes}: no pictures`]);
});

test('names such as __proto__ are names', async () => {
  const path = await shardOf(...sample('__proto__', '1'), ...sample('constructor', '0'));
  expect(filesOf((await load(path)).train as FileSplit)).toEqual([
    `${path} > __proto__.png`,
    `${path} > constructor.png`,
  ]);
});

test('a picture of 3 GiB in a shard is a broken picture', async () => {
  const path = await shardOf(...sample('a', '0'));
  const size = 3 * 2 ** 30;
  const file = await open(path, 'w');
  // Sparse: it takes no disk.
  await file.write(Buffer.concat([tarFile('a.cls', '0'), tarHeader('a.png', size)]), 0);
  const end = 3 * 512 + size;
  await file.write(Buffer.concat([tarFile('b.png', 'x'), tarFile('b.cls', '1')]), 0, null, end);
  await file.close();
  const { train } = await load(path);
  expect(train.count).toBe(2);
  const message = 'a file of 3221225472 bytes, at most 268435456 are read';
  await expect(createBatches(train, { batchSize: 1 }).next()).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: `${path} > a.png`,
    message,
  });
});

test('a shard that is cut off after it was indexed stops, also where broken pictures are left out', async () => {
  const path = await shardOf(...sample('a', '0'), ...sample('b', '1'));
  const { train } = await load(path);
  await truncate(path, 512);
  await expect(createBatches(train, { batchSize: 2, onBroken: 'skip' }).next()).rejects.toMatchObject({
    code: 'E_IO',
    message: 'the file has become shorter since it was opened',
  });
});

test('a picture changed within a shard at equal size is another data set', async () => {
  const path = await shardOf(...sample('a', '0'), ...sample('b', '1'));
  const { fingerprint } = await load(path);
  const file = await open(path, 'r+');
  await file.write('z', 512);
  await file.close();
  expect((await load(path)).fingerprint).not.toBe(fingerprint);
});

test.each([
  ['negative', '-1536'],
  ['no number', 'NaN'],
])('an archive of CIFAR with a pax size that is %s', async (_, size) => {
  const path = join(await temporaryFolder(), 'cifar-10-binary.tar.gz');
  await writeFile(path, gzipSync(Buffer.concat([pax({ size }), tarFile('data_batch_1.bin', 'x'), END])));
  await expect(loadDataset('cifar10', { dir: path })).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: expect.stringContaining(path) as string,
  });
});

test('an archive of CIFAR with a size field that is no number', async () => {
  const path = join(await temporaryFolder(), 'cifar-10-binary.tar.gz');
  const sizeField = Buffer.from('\xe10000003515', 'latin1');
  for (const name of ['data_batch_1.bin', 'other']) {
    await writeFile(path, gzipSync(Buffer.concat([tarHeader(name, 0, { sizeField }), Buffer.alloc(2048), END])));
    await expect(loadDataset('cifar10', { dir: path })).rejects.toMatchObject({
      code: 'E_FORMAT',
      at: path,
      message: 'cannot unpack the archive: TAR number too large',
    });
  }
});

test.each([
  ['ends within a file', (whole: Buffer) => whole.subarray(0, 1024)],
  ['ends without its last blocks', (whole: Buffer) => whole.subarray(0, 1536)],
  ['has a header that was changed', (whole: Buffer) => Buffer.concat([Buffer.from('x'), whole.subarray(1)])],
  ['has attributes of 1 GiB', (whole: Buffer) => Buffer.concat([tarHeader('pax', 2 ** 30, { type: 'x' }), whole])],
])('an archive of CIFAR that %s', async (_, damaged) => {
  const path = join(await temporaryFolder(), 'cifar-10-binary.tar.gz');
  const whole = Buffer.concat([tarFile('data_batch_1.bin', 'x'.repeat(1024)), END]);
  await writeFile(path, gzipSync(damaged(whole)));
  await expect(loadDataset('cifar10', { dir: path })).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: path,
    message: expect.stringMatching(/^cannot unpack the archive: (Tar|Invalid tar) /) as string,
  });
});

test('an archive of CIFAR that holds a batch twice, or goes on without end', async () => {
  const path = join(await temporaryFolder(), 'cifar-10-binary.tar.gz');
  const batch = tarFile('data_batch_1.bin', 'x');
  await writeFile(path, gzipSync(Buffer.concat([batch, batch, END])));
  await expect(loadDataset('cifar10', { dir: path })).rejects.toMatchObject({
    code: 'E_FORMAT',
    message: 'the archive holds the file a second time',
  });
  // Members of gzip one after another are one stream: 34 of 64 MiB each.
  const member = gzipSync(Buffer.alloc(1 << 26));
  const head = gzipSync(tarHeader('other', 2 ** 33 - 1));
  await writeFile(path, Buffer.concat([head, ...Array.from({ length: 34 }, () => member)]));
  await expect(loadDataset('cifar10', { dir: path })).rejects.toMatchObject({
    code: 'E_FORMAT',
    message: 'the archive unpacks to more than 2147483648 bytes',
  });
}, 60_000);
