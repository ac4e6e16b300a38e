/**
 * Opening regular files, and nothing else: reading from a named pipe waits for a writer that may never come, reading from a device
 * such as /dev/zero never ends.
 */

import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { BnnError, fromSystemError } from '../../errors.ts';
import { describeFolder } from './folder-kind-io.ts';

/** What one read of the operating system may ask for. */
const LARGEST_READ = 1 << 30;
/** What Node itself reads into one buffer. */
const LARGEST_FILE = 2 ** 31 - 1;

export interface RegularFile {
  readonly handle: FileHandle;
  /** When it was opened. */
  readonly sizeBytes: number;
}

/**
 * For whoever opens a file in another way: looks at what was found before anything is read.
 *
 * @throws {BnnError} E_IO naming a pipe, device, socket or folder.
 */
export function assertRegularFile(facts: Stats, path: string): void {
  if (facts.isFile()) return;
  if (facts.isDirectory()) throw fromSystemError(Object.assign(new Error('EISDIR'), { code: 'EISDIR' }), 'read', path);
  throw new BnnError('E_IO', `this is ${kindOf(facts)}, expected a regular file`, {
    at: path,
    hint: 'write its contents to a file, and give that one',
  });
}

function kindOf(facts: Stats): string {
  if (facts.isFIFO()) return 'a named pipe';
  if (facts.isCharacterDevice()) return 'a character device';
  if (facts.isBlockDevice()) return 'a block device';
  return facts.isSocket() ? 'a socket' : 'no file';
}

/**
 * Opens a file for reading; returns at once whatever is there. Links are followed.
 *
 * @throws {BnnError} E_NOT_FOUND or E_IO with the path, and what `assertRegularFile` throws.
 */
export async function openRegularFile(path: string): Promise<RegularFile> {
  let handle: FileHandle;
  try {
    // Not blocking: to open a pipe would wait for its writer. For regular files it means nothing. Windows has neither.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw fromSystemError(error, 'open', path);
  }
  try {
    const facts = await handle.stat();
    assertRegularFile(facts, path);
    return { handle, sizeBytes: facts.size };
  } catch (error) {
    await handle.close();
    throw fromSystemError(error, 'open', path);
  }
}

export interface ReadOptions {
  /** Refuses a larger file before it takes memory; 2 GiB unless told. */
  readonly mostBytes?: number;
  /** What the file should be, with its article, for messages; says what a folder in its place is. */
  readonly expected?: string;
}

/**
 * The bytes of a file.
 *
 * @throws {BnnError} what `openRegularFile` throws, E_IO when it cannot be read, E_FORMAT when it is larger than `mostBytes`.
 */
export async function readRegularFile(path: string, options: ReadOptions = {}): Promise<Uint8Array> {
  const { mostBytes = LARGEST_FILE, expected } = options;
  if (expected !== undefined) await refuseFolder(path, expected);
  const { handle, sizeBytes } = await openRegularFile(path);
  try {
    if (sizeBytes > mostBytes) {
      throw new BnnError('E_FORMAT', `a file of ${sizeBytes} bytes, at most ${mostBytes} are read`, { at: path });
    }
    const bytes = new Uint8Array(sizeBytes);
    const done = await readInto(handle, bytes, 0);
    return done < sizeBytes ? bytes.subarray(0, done) : bytes;
  } catch (error) {
    throw fromSystemError(error, 'read', path);
  } finally {
    await handle.close();
  }
}

/** A folder may be a model of a kind that is not read. */
async function refuseFolder(path: string, expected: string): Promise<void> {
  const facts = await stat(path).catch(() => undefined);
  if (facts?.isDirectory() !== true) return;
  const { what, hint = 'give a file, not a folder' } = await describeFolder(path);
  throw new BnnError('E_IO', `this is ${what}, expected ${expected}`, { at: path, hint });
}

/** Fills `bytes` from position `at` of the file on; returns how many there were. */
export async function readInto(handle: FileHandle, bytes: Uint8Array, at: number): Promise<number> {
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(bytes.length - done, LARGEST_READ);
    const { bytesRead } = await handle.read(bytes, done, length, at + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}
