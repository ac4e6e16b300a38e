/**
 * What people look at of a run while it grows: `history.csv`, for spreadsheets, and `curves.svg`. Both are made of `history.jsonl`
 * alone, so a lost one is made anew, and a run does not end for want of them.
 */

import { basename, join, resolve } from 'node:path';
import { writeFileAtomic } from '../../core/files/atomic-file-io.ts';
import { BnnError } from '../../errors.ts';
import { plotLines } from '../../report/plot-lines.ts';
import { INDICATOR_NAMES } from '../measures/indicators.ts';
import type { Recipe } from '../recipes/recipe.ts';
import type { EpochRecord } from './history-io.ts';
import { curvesOfRun, describeRun } from './run-curves.ts';

/** Files of a run that are derived from others of it. */
export const VIEW_FILES = ['history.csv', 'curves.svg'] as const;

const COLUMNS = [
  'epoch',
  'trainLoss',
  'trainTop1',
  'testLoss',
  'testTop1',
  'validationTop1',
  'lr',
  'o',
  'seconds',
  'imagesPerSecond',
  'waitShare',
] as const satisfies readonly (keyof EpochRecord)[];

/** One row an epoch, columns named as in `history.jsonl`; empty where there is no number. Indicators of the whole network, where there are some. */
export function historyCsv(records: readonly EpochRecord[]): string {
  const hasIndicators = records.some(({ indicators }) => indicators !== undefined);
  const columns = [...COLUMNS, ...(hasIndicators ? INDICATOR_NAMES : [])];
  const rows = records.map((record) => [
    ...COLUMNS.map((name) => cell(record[name])),
    ...(hasIndicators ? INDICATOR_NAMES.map((name) => cell(record.indicators?.[name])) : []),
  ]);
  return [columns, ...rows].map((row) => `${row.join(',')}\n`).join('');
}

function cell(value: number | null | undefined): string {
  return value == null || !Number.isFinite(value) ? '' : String(value);
}

export function runCurves(name: string, recipe: Recipe, records: readonly EpochRecord[]): string {
  return plotLines(name, describeRun(recipe, records.length), curvesOfRun(records));
}

/** Keeps the two files of a run in step with its history. */
export class RunViews {
  readonly #folder: string;
  readonly #recipe: Recipe;
  readonly #onNote: ((note: string) => void) | undefined;
  readonly #records: EpochRecord[];
  #hasFailed = false;

  /** @param records  of the epochs so far. */
  constructor(folder: string, recipe: Recipe, records: readonly EpochRecord[], onNote?: (note: string) => void) {
    this.#folder = folder;
    this.#recipe = recipe;
    this.#records = [...records];
    this.#onNote = onNote;
  }

  add(record: EpochRecord): Promise<void> {
    this.#records.push(record);
    return this.write();
  }

  /** Nothing before the first epoch. Where it cannot write, it says so once. */
  async write(): Promise<void> {
    if (this.#records.length === 0) return;
    const [csv, svg] = VIEW_FILES.map((name) => join(this.#folder, name)) as [string, string];
    try {
      await writeFileAtomic(csv, historyCsv(this.#records));
      await writeFileAtomic(svg, runCurves(basename(resolve(this.#folder)), this.#recipe, this.#records));
    } catch (error) {
      if (!(error instanceof BnnError)) throw error;
      if (!this.#hasFailed) this.#onNote?.(`${error.at ?? csv} is not kept up to date: ${error.message}`);
      this.#hasFailed = true;
    }
  }
}
