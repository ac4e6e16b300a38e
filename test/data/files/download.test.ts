import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type DownloadOptions, downloadFile } from '../../../src/data/files/download.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const CONTENT = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 5);
const OPTIONS: DownloadOptions = {
  checksum: { algorithm: 'md5', hex: createHash('md5').update(CONTENT).digest('hex') },
  sizeBytes: CONTENT.length,
  pauseMs: 1,
  attempts: 3,
};

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`;
}

/** Answers with the range that is asked for, at most `most` bytes before the connection breaks. */
function ranged(ranges: (string | undefined)[], most = Infinity): RequestListener {
  return (request, response) => {
    ranges.push(request.headers.range);
    const begin = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const rest = CONTENT.subarray(begin);
    response.writeHead(begin > 0 ? 206 : 200, {
      'content-length': rest.length,
      ...(begin > 0 ? { 'content-range': `bytes ${begin}-${CONTENT.length - 1}/${CONTENT.length}` } : {}),
    });
    if (rest.length <= most) response.end(rest);
    else response.write(rest.subarray(0, most), () => setTimeout(() => response.destroy(), 20));
  };
}

async function target(): Promise<string> {
  return join(await temporaryFolder(), 'deep', 'file.bin');
}

async function expectComplete(path: string): Promise<void> {
  expect(Buffer.compare(await readFile(path), CONTENT)).toBe(0);
  await expect(stat(`${path}.part`)).rejects.toThrow(/ENOENT/);
}

test('no room for it: said before the server is asked', async () => {
  const ranges: (string | undefined)[] = [];
  const path = await target();
  const sizeBytes = 2 ** 52;
  await expect(downloadFile(await serve(ranged(ranges)), path, { ...OPTIONS, sizeBytes })).rejects.toMatchObject({
    code: 'E_IO',
    at: join(path, '..'),
    message: expect.stringMatching(/^the download needs 4503599627370496 bytes, \d+ are free on the disk$/),
  });
  expect(ranges).toEqual([]);
});

test('a whole file, with progress', async () => {
  const path = await target();
  const seen: number[] = [];
  const url = await serve(ranged([]));
  await downloadFile(url, path, { ...OPTIONS, onProgress: (done, total) => seen.push(done, total) });
  await expectComplete(path);
  expect(seen.at(-2)).toBe(CONTENT.length);
  expect(seen.at(-1)).toBe(CONTENT.length);
});

test('a server that breaks off is asked for the rest', async () => {
  const path = await target();
  const ranges: (string | undefined)[] = [];
  await downloadFile(await serve(ranged(ranges, 100_000)), path, OPTIONS);
  await expectComplete(path);
  expect(ranges).toEqual([undefined, 'bytes=100000-', 'bytes=200000-']);
});

test('a part of an earlier run is continued', async () => {
  const path = join(await temporaryFolder(), 'file.bin');
  await writeFile(`${path}.part`, CONTENT.subarray(0, 123_456));
  const ranges: (string | undefined)[] = [];
  await downloadFile(await serve(ranged(ranges)), path, OPTIONS);
  await expectComplete(path);
  expect(ranges).toEqual(['bytes=123456-']);
});

test('a server without ranges begins again', async () => {
  const path = join(await temporaryFolder(), 'file.bin');
  await writeFile(`${path}.part`, new Uint8Array(1000));
  await downloadFile(await serve((_, response) => void response.end(CONTENT)), path, OPTIONS);
  await expectComplete(path);
});

test('a complete part needs no server', async () => {
  const path = join(await temporaryFolder(), 'file.bin');
  await writeFile(`${path}.part`, CONTENT);
  await downloadFile('http://127.0.0.1:9/', path, OPTIONS);
  await expectComplete(path);
});

test('a wrong checksum leaves nothing', async () => {
  const path = await target();
  const url = await serve((_, response) => void response.end(new Uint8Array(CONTENT.length)));
  await expect(downloadFile(url, path, OPTIONS)).rejects.toMatchObject({
    code: 'E_FORMAT',
    message: expect.stringContaining(`expected ${OPTIONS.checksum.hex}`),
  });
  await expect(stat(path)).rejects.toThrow(/ENOENT/);
  await expect(stat(`${path}.part`)).rejects.toThrow(/ENOENT/);
});

test('a file that is too long is refused', async () => {
  const url = await serve((_, response) => void response.end(new Uint8Array(CONTENT.length + 1)));
  await expect(downloadFile(url, await target(), OPTIONS)).rejects.toMatchObject({
    code: 'E_FORMAT',
    message: expect.stringContaining('more than the expected 300000 bytes'),
  });
});

test('HTTP errors: 404 at once, 503 again', async () => {
  let requests = 0;
  const answer =
    (status: number): RequestListener =>
    (_, response) => {
      requests++;
      response.writeHead(status).end('no');
    };
  await expect(downloadFile(await serve(answer(404)), await target(), OPTIONS)).rejects.toMatchObject({
    code: 'E_IO',
    message: expect.stringContaining('404'),
  });
  expect(requests).toBe(1);
  await expect(downloadFile(await serve(answer(503)), await target(), OPTIONS)).rejects.toMatchObject({
    code: 'E_IO',
    message: expect.stringMatching(/503.*0 of 300000 bytes are here/),
  });
  expect(requests).toBe(4);
});

test('a silent server, and none at all', async () => {
  const silent = await serve(() => {});
  const options = { ...OPTIONS, attempts: 1 };
  await expect(downloadFile(silent, await target(), { ...options, silenceMs: 50 })).rejects.toMatchObject({
    code: 'E_IO',
    message: expect.stringContaining('no byte came for 50 ms'),
  });
  await expect(downloadFile('http://127.0.0.1:9/', await target(), options)).rejects.toMatchObject({
    code: 'E_IO',
    hint: expect.stringContaining('continues'),
  });
});

test('a folder that cannot be made', async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'file'), '');
  await expect(downloadFile('http://127.0.0.1:9/', join(folder, 'file', 'x'), OPTIONS)).rejects.toMatchObject({
    name: 'BnnError',
  });
});

test.skipIf(!existsSync('/dev/full'))('a full disk (needs /dev/full)', async () => {
  const path = join(await temporaryFolder(), 'file.bin');
  await symlink('/dev/full', `${path}.part`);
  await expect(downloadFile(await serve(ranged([])), path, OPTIONS)).rejects.toMatchObject({
    code: 'E_IO',
    message: expect.stringContaining('ENOSPC'),
    hint: expect.stringContaining('free some space'),
  });
});
