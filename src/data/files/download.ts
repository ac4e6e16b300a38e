/** Fetches one large file over HTTP: resumable, checked, complete or not there at all. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, constants, mkdir, open, rm, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { renameDurably } from '../../core/files/durable-io.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../../errors.ts';
import { proxiedFetch } from './proxied-fetch.ts';

export interface DownloadOptions {
  /** Hex digest of the whole file. */
  readonly checksum: { readonly algorithm: 'md5' | 'sha256'; readonly hex: string };
  /** Exact size; what would grow beyond it is refused. */
  readonly sizeBytes: number;
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  /** Attempts in a row that bring no new bytes before giving up; 4 unless told. */
  readonly attempts?: number | undefined;
  /** A connection that is silent for so long counts as dead; 30000 unless told. */
  readonly silenceMs?: number | undefined;
  /** Pause before another attempt, doubled each time; 1000 unless told. */
  readonly pauseMs?: number | undefined;
}

/**
 * Downloads `url` to `path`. Bytes are collected in `<path>.part`; a later call, also of another process, continues there. The file
 * appears under its name only when its checksum is right.
 *
 * @throws {BnnError} E_IO when the folder cannot be written or has no room, the server cannot be reached or refuses; E_FORMAT for a wrong checksum or size (the
 *                    collected bytes are deleted).
 */
export async function downloadFile(url: string, path: string, options: DownloadOptions): Promise<void> {
  const part = `${path}.part`;
  const { attempts = 4, pauseMs = 1000 } = options;
  try {
    await mkdir(dirname(path), { recursive: true });
  } catch (error) {
    throw fromSystemError(error, 'create the folder of', path);
  }
  await assertRoom(dirname(path), options.sizeBytes - (await bytesOf(part)));
  let failures = 0;
  for (;;) {
    const before = await bytesOf(part);
    if (before === options.sizeBytes) break;
    if (before > options.sizeBytes) await rm(part);
    try {
      await fetchRest(url, part, options);
    } catch (error) {
      const after = await bytesOf(part);
      failures = after > before ? 0 : failures + 1;
      if (error instanceof BnnError || failures >= attempts) throw giveUp(error, url, after, options.sizeBytes);
      await sleep(pauseMs * 2 ** failures);
    }
  }
  const found = await digest(part, options.checksum.algorithm);
  if (found !== options.checksum.hex) {
    await rm(part, { force: true });
    throw new BnnError(
      'E_FORMAT',
      `the downloaded file has ${options.checksum.algorithm} ${found}, expected ${options.checksum.hex}`,
      { at: url, hint: 'it was deleted; run the same command again' },
    );
  }
  try {
    await renameDurably(part, path);
  } catch (error) {
    throw fromSystemError(error, 'write', path);
  }
}

/** What is there of a part; 0 where there is none. */
async function bytesOf(part: string): Promise<number> {
  try {
    return (await stat(part)).size;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return 0;
    throw fromSystemError(error, 'read', part);
  }
}

/** Before a server is asked: hours later would be late. */
async function assertRoom(folder: string, neededBytes: number): Promise<void> {
  try {
    await access(folder, constants.W_OK);
    const { bavail, bsize } = await statfs(folder);
    // Some network file systems know no figures.
    if (bavail > 0 && bavail * bsize < neededBytes) {
      throw new BnnError('E_IO', `the download needs ${neededBytes} bytes, ${bavail * bsize} are free on the disk`, {
        at: folder,
        hint: 'free some space on the disk, or choose another folder with --data',
      });
    }
  } catch (error) {
    throw fromSystemError(error, 'write to the folder', folder);
  }
}

/** One connection: from the end of the part file to the end of the file, or as far as it goes. */
async function fetchRest(url: string, part: string, options: DownloadOptions): Promise<void> {
  const { sizeBytes, silenceMs = 30_000, onProgress } = options;
  const have = await bytesOf(part);
  const abort = new AbortController();
  const watchdog = setTimeout(() => abort.abort(new Error(`no byte came for ${silenceMs} ms`)), silenceMs);
  try {
    const request = await proxiedFetch();
    const response = await request(url, {
      signal: abort.signal,
      // Compression in transit would make the byte ranges mean something else.
      headers: { 'accept-encoding': 'identity', ...(have > 0 ? { range: `bytes=${have}-` } : {}) },
    });
    const begin = firstByte(response, have);
    if (begin === undefined || response.body === null) {
      await response.body?.cancel();
      if (response.status >= 500 || response.status === 429) throw new Error(`HTTP status ${response.status}`);
      throw new BnnError('E_IO', `the server answered HTTP status ${response.status} ${response.statusText}`, {
        at: url,
      });
    }
    const file = await openAt(part, begin);
    try {
      let done = begin;
      for await (const chunk of response.body) {
        watchdog.refresh();
        done += chunk.length;
        if (done > sizeBytes) {
          await file.truncate(0);
          throw new BnnError('E_FORMAT', `the server sends more than the expected ${sizeBytes} bytes`, { at: url });
        }
        await writeAll(file, chunk, part);
        onProgress?.(done, sizeBytes);
      }
      if (done < sizeBytes) throw new Error(`the connection ended after ${done} of ${sizeBytes} bytes`);
    } finally {
      await file.close();
    }
  } finally {
    clearTimeout(watchdog);
  }
}

/** Offset of the first byte of the answer; undefined when it is not the file. A server without ranges begins at 0 again. */
function firstByte(response: Response, asked: number): number | undefined {
  if (response.status === 200) return 0;
  if (response.status !== 206) return undefined;
  const range = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '');
  return range !== null && Number(range[1]) === asked ? asked : undefined;
}

type FileHandle = Awaited<ReturnType<typeof open>>;

async function openAt(part: string, begin: number): Promise<FileHandle> {
  try {
    return await open(part, begin === 0 ? 'w' : 'a');
  } catch (error) {
    throw fromSystemError(error, 'write', part);
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array, part: string): Promise<void> {
  try {
    await file.writeFile(chunk);
  } catch (error) {
    throw fromSystemError(error, 'write', part);
  }
}

async function digest(path: string, algorithm: string): Promise<string> {
  const hash = createHash(algorithm);
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  } catch (error) {
    throw fromSystemError(error, 'read', path);
  }
  return hash.digest('hex');
}

function giveUp(error: unknown, url: string, doneBytes: number, sizeBytes: number): BnnError {
  if (error instanceof BnnError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return new BnnError('E_IO', `cannot download: ${text}${cause}; ${doneBytes} of ${sizeBytes} bytes are here`, {
    at: url,
    hint: 'check the network, or set HTTPS_PROXY where it takes a proxy; then run the same command again: it continues where it stopped',
    cause: error,
  });
}
