/** An event file, which grows by one write a step, so that TensorBoard can follow it. */

import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import Long from 'long';
import { fromSystemError } from '../errors.ts';
import { encodeEvent } from './generated/encode.ts';
import type { Event, Init } from './generated/event.ts';
import { frameRecord } from './record.ts';
import type { Summary } from './summaries.ts';

const FILE_VERSION = 'brain.Event:2';
const START = 1;

export class EventFile {
  readonly path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /**
   * Starts a new file in the folder; those that are there stay.
   *
   * @param from  where a resumed run goes on: what other files say of this step and later ones is void; none for a new run.
   * @throws {BnnError} E_IO or E_NOT_FOUND when it cannot be written.
   */
  static async create(folder: string, from?: number): Promise<EventFile> {
    const time = Date.now();
    // TensorBoard takes files in the order of their names.
    const name = (n: number) =>
      `events.out.tfevents.${String(Math.floor(time / 1000)).padStart(10, '0')}.${hostname()}.${process.pid}.${n}`;
    try {
      await mkdir(folder, { recursive: true });
      for (let n = 0; ; n++) {
        const path = join(folder, name(n));
        const file = await open(path, 'wx').catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'EEXIST') throw error;
        });
        if (file === undefined) continue;
        const created = new EventFile(path, file);
        await created.#append([{ fileVersion: FILE_VERSION }]);
        if (from !== undefined) await created.#append([{ step: Long.fromNumber(from), sessionLog: { status: START } }]);
        return created;
      }
    } catch (error) {
      throw fromSystemError(error, 'write events for TensorBoard', folder);
    }
  }

  /** @throws {BnnError} E_IO, e.g. on a full disk. */
  async write(step: number, summaries: readonly (Summary | null)[]): Promise<void> {
    const value = summaries.filter((summary) => summary !== null);
    if (value.length === 0) return;
    try {
      await this.#append([{ step: Long.fromNumber(step), summary: { value } }]);
    } catch (error) {
      throw fromSystemError(error, 'write events for TensorBoard', this.path);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #append(events: readonly Init<Event>[]): Promise<void> {
    const wallTime = Date.now() / 1000;
    const records = events.map((event) => frameRecord(encodeEvent({ wallTime, ...event }).finish()));
    await this.#file.appendFile(Buffer.concat(records));
  }
}
