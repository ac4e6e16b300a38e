/** `history.jsonl`: one object per completed epoch. */

import { appendFile, readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../core/atomic-file-io.ts';
import { fromSystemError, systemErrorCode } from '../errors.ts';
import type { EpochIndicators } from './indicators.ts';

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
  /** Where the recipe asks for them and the network has binary weights. */
  readonly indicators?: EpochIndicators;
}

export async function appendHistory(path: string, record: EpochRecord): Promise<void> {
  try {
    await appendFile(path, `${JSON.stringify(record)}\n`);
  } catch (error) {
    throw fromSystemError(error, 'write the history', path);
  }
}

/** All records; a last line cut off by a kill is dropped. An absent file is an empty history. */
export async function readHistory(path: string): Promise<EpochRecord[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw fromSystemError(error, 'read the history', path);
  }
  const records: EpochRecord[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    try {
      records.push(JSON.parse(line) as EpochRecord);
    } catch {
      break;
    }
  }
  return records;
}

/** Forgets the records of epochs that the checkpoint does not contain: they will be trained again. */
export async function truncateHistory(path: string, epochs: number): Promise<void> {
  const records = await readHistory(path);
  const kept = records.filter((record) => record.epoch <= epochs);
  await writeFileAtomic(path, kept.map((record) => `${JSON.stringify(record)}\n`).join(''));
}
