/** The files of a data set, wherever they lie: in a folder or inside a .tar.gz archive. */

import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { openRegularFile, readRegularFile } from '../core/regular-file-io.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../errors.ts';

export interface SourceFiles {
  /** The folder or the archive. */
  readonly root: string;
  /** How to call one of the files in a message. */
  nameOf(file: string): string;
  /** Size in bytes; undefined when there is no such file. */
  sizeOf(file: string): Promise<number | undefined>;
  /** Only for files that are there. */
  read(file: string): Promise<Uint8Array>;
}

/** Size of a file, or undefined where there is none. */
export async function fileSize(path: string): Promise<number | undefined> {
  try {
    const facts = await stat(path);
    return facts.isFile() ? facts.size : undefined;
  } catch (error) {
    const known = fromSystemError(error, 'read', path);
    if (known instanceof BnnError && known.code === 'E_NOT_FOUND') return undefined;
    throw known;
  }
}

export function openFolder(root: string): SourceFiles {
  return {
    root,
    nameOf: (file) => join(root, file),
    sizeOf: (file) => fileSize(join(root, file)),
    read: (file) => readRegularFile(join(root, file)),
  };
}

/** The archives of CIFAR unpack to 0.2 GB; a small file that goes on without end should not be waited for. */
const MOST_UNPACKED = 2 ** 31;

/**
 * Reads the wanted files of a .tar.gz archive into memory, whatever folder of the archive they are in.
 *
 * @param maximumBytes  refuse files larger than this, before they take memory.
 * @param onRead        called with the compressed bytes read so far.
 * @throws {BnnError} E_FORMAT when the archive is damaged, holds a wanted file twice or unpacks to more than 2 GiB.
 */
export async function openArchive(
  path: string,
  wanted: ReadonlySet<string>,
  maximumBytes: number,
  onRead: (bytes: number) => void,
): Promise<SourceFiles> {
  const files = new Map<string, Uint8Array>();
  const unpack = extract();
  const collect = async (): Promise<void> => {
    for await (const entry of unpack) {
      const name = basename(entry.header.name);
      const size = entry.header.size ?? 0;
      if (!(size >= 0)) throw new Error(`the size of ${entry.header.name} is ${size}`);
      if (entry.header.type !== 'file' || !wanted.has(name)) {
        entry.resume();
        continue;
      }
      const at = `${path} > ${entry.header.name}`;
      if (size > maximumBytes) {
        throw new BnnError('E_FORMAT', `a file of ${size} bytes, at most ${maximumBytes} are expected`, { at });
      }
      if (files.has(name)) throw new BnnError('E_FORMAT', 'the archive holds the file a second time', { at });
      const bytes = new Uint8Array(size);
      let filled = 0;
      for await (const chunk of entry as AsyncIterable<Uint8Array>) {
        bytes.set(chunk, filled);
        filled += chunk.length;
      }
      files.set(name, bytes);
    }
  };
  const { handle } = await openRegularFile(path);
  const input = handle.createReadStream({ highWaterMark: 1 << 18 });
  input.on('data', () => onRead(input.bytesRead));
  try {
    const gunzip = createGunzip({ chunkSize: 1 << 18 });
    await Promise.all([pipeline(input, gunzip, (chunks) => bounded(chunks, path), unpack), collect()]);
  } catch (cause) {
    const known = systemErrorCode(cause)?.startsWith('Z_') ? cause : fromSystemError(cause, 'read', path);
    if (known instanceof BnnError) throw known;
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new BnnError('E_FORMAT', `cannot unpack the archive: ${text}`, {
      at: path,
      hint: 'the archive is damaged or incomplete: delete it and fetch it again',
      cause,
    });
  }
  return {
    root: path,
    nameOf: (file) => `${path} > ${file}`,
    sizeOf: async (file) => files.get(file)?.length,
    read: async (file) => {
      const bytes = files.get(file);
      if (bytes === undefined) throw new Error(`internal: ${file} was not unpacked`);
      return bytes;
    },
  };
}

async function* bounded(chunks: AsyncIterable<Uint8Array>, at: string): AsyncGenerator<Uint8Array> {
  let total = 0;
  for await (const chunk of chunks) {
    total += chunk.length;
    if (total > MOST_UNPACKED) {
      throw new BnnError('E_FORMAT', `the archive unpacks to more than ${MOST_UNPACKED} bytes`, {
        at,
        hint: 'it is damaged or another one: fetch it again',
      });
    }
    yield chunk;
  }
}
