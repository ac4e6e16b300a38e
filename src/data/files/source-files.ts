/** The files of a data set, wherever they lie: in a folder or inside a .tar.gz archive. */

import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { createTarDecoder } from 'modern-tar';
import { assertRegularFile, openRegularFile, readRegularFile } from '../../core/files/regular-file-io.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../../errors.ts';

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

/**
 * Size of a file, or undefined where there is none, or a folder.
 *
 * @throws {BnnError} E_UNSUPPORTED for a pipe or a device, E_IO when it cannot be looked at.
 */
export async function fileSize(path: string): Promise<number | undefined> {
  try {
    const facts = await stat(path);
    if (facts.isDirectory()) return undefined;
    assertRegularFile(facts, path);
    return facts.size;
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
  const collect = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
    const unpacked = Readable.toWeb(Readable.from(chunks)).pipeThrough(createTarDecoder({ strict: true }));
    for await (const { header, body } of unpacked) {
      const name = basename(header.name);
      if (header.type !== 'file' || !wanted.has(name)) {
        await body.cancel();
        continue;
      }
      const at = `${path} > ${header.name}`;
      if (header.size > maximumBytes) {
        throw new BnnError('E_FORMAT', `a file of ${header.size} bytes, at most ${maximumBytes} are expected`, { at });
      }
      if (files.has(name)) throw new BnnError('E_FORMAT', 'the archive holds the file a second time', { at });
      const bytes = new Uint8Array(header.size);
      let filled = 0;
      for await (const chunk of body) {
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
    // What fails in it ends gunzip, too, and is thrown from there.
    pipeline(input, gunzip).catch(() => {});
    await collect(bounded(gunzip, path));
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
