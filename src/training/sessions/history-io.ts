/** `history.jsonl`: one object per completed epoch. */

import { open, readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../../core/files/atomic-file-io.ts';
import { flushFile } from '../../core/files/durable-io.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../../errors.ts';
import type { EpochIndicators } from '../measures/indicators.ts';

export interface EpochRecord {
  /** Counts from 1. */
  readonly epoch: number;
  /** Mean over the epoch's batches, while the weights were moving. */
  readonly trainLoss: number;
  readonly trainTop1: number;
  readonly testLoss: number;
  readonly testTop1: number;
  /** Null without held-out images. */
  readonly validationTop1: number | null;
  /** Learning rate of the last step. */
  readonly lr: number;
  /** ReSTE's power parameter; null where no estimator has one. */
  readonly o: number | null;
  /** Training alone, without evaluation. */
  readonly seconds: number;
  readonly imagesPerSecond: number;
  /** Share of the training time spent waiting for batches, 0 … 1. */
  readonly waitShare: number;
  /** Where several processes (MPI) trained the epoch's last step: how many. */
  readonly processes?: number;
  /** Where the recipe asks for them and the network has binary weights. */
  readonly indicators?: EpochIndicators;
}

/** Appends a record and flushes it, so that no checkpoint is on the disk before the records of its epochs. */
export async function appendHistory(path: string, record: EpochRecord): Promise<void> {
  try {
    const file = await open(path, 'a');
    try {
      await file.writeFile(`${JSON.stringify(record)}\n`);
      await flushFile(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fromSystemError(error, 'write the history', path);
  }
}

/**
 * All records; what a kill or a power cut left of a last line is dropped. An absent file is an empty history.
 *
 * @throws {BnnError} E_FORMAT that names the line when another one is damaged, or the epochs do not count from 1.
 */
export async function readHistory(path: string): Promise<EpochRecord[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw fromSystemError(error, 'read the history', path);
  }
  const lines = text.split('\n').filter((line) => line !== '');
  const records: EpochRecord[] = [];
  for (const [i, line] of lines.entries()) {
    const problem = problemOf(parse(line), i + 1);
    if (problem === null) records.push(JSON.parse(line) as EpochRecord);
    else if (i < lines.length - 1) throw damaged(problem, `${path}:${i + 1}`);
  }
  return records;
}

/**
 * Checks that the history fits a checkpoint: the records of all epochs that it contains, and at most that of the next one, which a
 * killed run trains again.
 *
 * @returns the records of the epochs that the checkpoint contains.
 * @throws  {BnnError} E_FORMAT.
 */
export async function checkHistory(path: string, epochs: number): Promise<EpochRecord[]> {
  const records = await readHistory(path);
  if (records.length < epochs || records.length > epochs + 1) {
    throw damaged(`it has ${records.length} epochs, the checkpoint last/ has ${epochs}`, path);
  }
  return records.slice(0, epochs);
}

/**
 * Forgets the record of an epoch that the checkpoint does not contain: it will be trained again.
 *
 * @returns the records that stay.
 * @throws {BnnError} as `checkHistory`, before anything is written.
 */
export async function truncateHistory(path: string, epochs: number): Promise<EpochRecord[]> {
  const records = await checkHistory(path, epochs);
  await writeFileAtomic(path, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  return records;
}

const NUMBERS = ['trainLoss', 'trainTop1', 'testLoss', 'testTop1', 'lr', 'seconds', 'imagesPerSecond'] as const;
/** Absent in earlier versions, or where there is no such number. */
const OPTIONAL = ['validationTop1', 'o', 'waitShare', 'processes'] as const satisfies readonly (keyof EpochRecord)[];
const SHARES: readonly string[] = ['trainTop1', 'testTop1'] satisfies (keyof EpochRecord)[];

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Null for a record; numbers that are infinite or NaN are null in JSON. */
function problemOf(value: unknown, epoch: number): string | null {
  if (value === undefined) return 'the line is not JSON';
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'the line is not an object';
  const record = value as Readonly<Record<string, unknown>>;
  if (record['epoch'] !== epoch) return `epoch is ${JSON.stringify(record['epoch']) ?? 'missing'}, expected ${epoch}`;
  for (const name of NUMBERS) {
    const number = record[name];
    const isShare = SHARES.includes(name);
    if (number === null && !isShare) continue;
    if (typeof number !== 'number' || number < 0 || (isShare && number > 1)) {
      return `${name} is ${JSON.stringify(number) ?? 'missing'}`;
    }
  }
  for (const name of OPTIONAL) {
    if (typeof (record[name] ?? 0) !== 'number') return `${name} is ${JSON.stringify(record[name])}`;
  }
  return isIndicators(record['indicators']) ? null : 'its indicators are not those of layers';
}

function isIndicators(value: unknown): boolean {
  if (value === undefined) return true;
  const { layers } = Object(value) as { readonly layers?: unknown };
  return Array.isArray(layers) && layers.every((layer) => typeof layer?.layer === 'string');
}

function damaged(what: string, at: string): BnnError {
  return new BnnError('E_FORMAT', `the history is damaged: ${what}`, {
    at,
    hint: 'take the run folder from a copy, or start a new run with another --out',
  });
}
