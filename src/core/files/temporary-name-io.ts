/** Names of files that are being written, which say by whom: what a killed process left can be told from what is in use. */

import { randomBytes } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isAlive, thisProcess } from './process-identity-io.ts';

const MARK = '.tmp-';
/** After this, what another machine or container began to write counts as abandoned. */
const ABANDONED_MS = 24 * 3600 * 1000;

/** `<path>.tmp-<scope>-<pid>-<start>-<random>`, beside the path, so that a rename can put it in its place. */
export function temporaryName(path: string): string {
  const { scope, pid, start } = thisProcess();
  return `${path}${MARK}${scope}-${pid.toString(36)}-${Number(start).toString(36)}-${randomBytes(2).toString('hex')}`;
}

/** Whether a file of this name is one that was being written for `target`, by whomever. */
export function isTemporaryOf(name: string, target: string): boolean {
  return name.startsWith(target + MARK) && /^[0-9a-z-]+$/.test(name.slice(target.length + MARK.length));
}

/** Deletes what processes that were killed have left of writing `path`; never what another one is writing now. */
export async function removeAbandoned(path: string): Promise<void> {
  const [folder, target] = [dirname(path), basename(path)];
  try {
    for (const name of await readdir(folder)) {
      if (!isTemporaryOf(name, target) || !(await isAbandoned(join(folder, name), name))) continue;
      await rm(join(folder, name), { recursive: true, force: true });
    }
  } catch {
    // It only tidies: whether the folder can be written is found by writing.
  }
}

async function isAbandoned(path: string, name: string): Promise<boolean> {
  const [, scope = '', pid = '', start = ''] = /-([0-9a-f]{8})-([0-9a-z]+)-([0-9a-z]+)-[0-9a-f]{4}$/.exec(name) ?? [];
  const ticks = Number.parseInt(start, 36);
  const identity = { scope, pid: Number.parseInt(pid, 36), start: ticks > 0 ? String(ticks) : '' };
  return !(isAlive(identity) ?? Date.now() - (await stat(path)).mtimeMs < ABANDONED_MS);
}
