/** Writes the folder of a run while it runs. */

import { join } from 'node:path';
import { writeFileAtomic } from '../../core/files/atomic-file-io.ts';
import type { Recipe } from '../recipes/recipe.ts';
import { type Checkpoint, saveCheckpoint } from './checkpoint-io.ts';
import { appendHistory, type EpochRecord, truncateHistory } from './history-io.ts';
import { assertRoom, ENVIRONMENT_FILE, removeLeftovers, removeUntouched, writeRecipe } from './run-folder-io.ts';
import type { RunLock } from './run-lock-io.ts';
import { RunViews } from './run-views-io.ts';

export interface RunWriterOptions {
  /** The folder. */
  readonly out: string;
  readonly recipe: Recipe;
  /** Makes sure that nobody else writes. */
  readonly lock: RunLock;
  readonly onNote: ((note: string) => void) | undefined;
}

export type CheckpointName = 'last' | 'best';

/** Only one process has one. `record`, `saveCheckpoint` and `check` throw where another one has taken the folder over. */
export class RunWriter {
  readonly #options: RunWriterOptions;
  readonly #history: string;
  #views: RunViews | null = null;

  constructor(options: RunWriterOptions) {
    this.#options = options;
    this.#history = join(options.out, 'history.jsonl');
  }

  /** Drops what a killed run left behind, and records of epochs that come again. @param epoch  epochs done; null for a new run. */
  async prepare(epoch: number | null): Promise<void> {
    const { out, recipe, onNote } = this.#options;
    await removeLeftovers(out);
    const before = epoch === null ? [] : await truncateHistory(this.#history, epoch);
    if (epoch === null) await removeUntouched(out);
    this.#views = new RunViews(out, recipe, before, onNote);
  }

  /** What is known before the first step. @param environment  what the run computes with, where that is known. */
  async describe(environment: object | undefined): Promise<void> {
    const { out, recipe } = this.#options;
    await writeRecipe(out, recipe);
    if (environment !== undefined) {
      await writeFileAtomic(join(out, ENVIRONMENT_FILE), `${JSON.stringify(environment)}\n`);
    }
    await assertRoom(out);
    await this.#views?.write();
  }

  /**
   * Records a completed epoch. `last` comes last: a run killed before it repeats the epoch, and a resumed run drops the records of epochs
   * that it repeats.
   */
  async record(record: EpochRecord, save: (name: CheckpointName) => Promise<void>, isBest: boolean): Promise<void> {
    await this.check();
    await appendHistory(this.#history, record);
    if (isBest) await save('best');
    await save('last');
    await this.#views?.add(record);
  }

  async saveCheckpoint(name: CheckpointName, checkpoint: () => Promise<Checkpoint>): Promise<void> {
    await this.check();
    await saveCheckpoint(join(this.#options.out, name), await checkpoint());
  }

  /** @throws {BnnError} when the folder is no longer this process's. */
  check(): Promise<void> {
    return this.#options.lock.check();
  }
}
