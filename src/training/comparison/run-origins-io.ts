/** What the runs of a comparison were made with: the same data, or they cannot be compared; the same machine, or it is said. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJsonObject } from '../../core/formats/parse-json.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../../errors.ts';
import { ENVIRONMENT_FILE } from '../sessions/run-folder-io.ts';

/** Of `environment.json`, in the order in which they are said. */
const ASPECTS = ['bnnToolchain', 'commit', 'node', 'processor', 'backend', 'precision', 'threads'];

export class RunOrigins {
  /** By arm: a run, and the fingerprint of its data. Arms may differ in how many pictures they learn from. */
  readonly #data = new Map<string, { readonly folder: string; readonly fingerprint: string }>();
  /** By aspect and what was found of it, how many runs. */
  readonly #counts = new Map(ASPECTS.map((aspect) => [aspect, new Map<string, number>()] as const));

  /**
   * Takes note of a complete run.
   *
   * @throws {BnnError} E_FORMAT where an earlier run of the arm had other data.
   */
  async add(arm: string, folder: string): Promise<void> {
    const state = await readObject(join(folder, 'last', 'state.json'));
    const fingerprint = state?.['data'];
    if (typeof fingerprint === 'string') {
      this.assertSame(arm, folder, fingerprint);
      if (!this.#data.has(arm)) this.#data.set(arm, { folder, fingerprint });
    }
    const environment = await readObject(join(folder, ENVIRONMENT_FILE));
    if (environment === null) return;
    for (const [aspect, counts] of this.#counts) {
      const found = String(environment[aspect] ?? 'unknown');
      counts.set(found, (counts.get(found) ?? 0) + 1);
    }
  }

  /** @throws {BnnError} E_FORMAT, as `add`. */
  assertSame(arm: string, folder: string, fingerprint: string): void {
    const other = this.#data.get(arm);
    if (other === undefined || other.fingerprint === fingerprint) return;
    throw new BnnError('E_FORMAT', `the data set is not the one that ${other.folder} was trained on`, {
      at: folder,
      hint: 'give the same data, or start a comparison with another --out',
    });
  }

  /** In what the runs differ. */
  notes(): string[] {
    return Array.from(this.#counts).flatMap(([aspect, counts]) => {
      if (counts.size < 2) return [];
      const found = Array.from(counts, ([value, count]) => `${value} (${count})`).join(', ');
      return [`the runs were made with different ${WORDS[aspect] ?? aspect}: ${found}`];
    });
  }
}

const WORDS: Readonly<Record<string, string>> = {
  bnnToolchain: 'versions',
  commit: 'commits',
  node: 'versions of Node',
  processor: 'processors',
  backend: 'backends',
  precision: 'precisions',
  threads: 'numbers of threads',
};

/** Null where there is none: runs of earlier versions have less. */
async function readObject(path: string): Promise<Record<string, unknown> | null> {
  try {
    return parseJsonObject(await readFile(path, 'utf8'), path);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return null;
    throw fromSystemError(error, 'read what a run was made with', path);
  }
}
