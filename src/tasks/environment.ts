/** What runs of a comparison are made with, so that others can tell whether they have the same. */

import { execFile } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Environment } from '../training/sessions/train-options.ts';
import { TFJS_VERSION, VERSION } from './version.ts';

const run = promisify(execFile);
const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));

/** Versions, commit and processor; what depends on a run, such as its kernels and threads, is added to it. */
export async function describeEnvironment(): Promise<Environment> {
  return {
    bnnToolchain: VERSION,
    commit: await commitOf(PACKAGE),
    node: process.versions.node,
    tfjs: TFJS_VERSION,
    system: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? process.arch,
    cores: availableParallelism(),
  };
}

/** With "+" where files were changed since; null for a package that is no checkout. */
async function commitOf(folder: string): Promise<string | null> {
  try {
    const git = async (...args: string[]) => (await run('git', ['-C', folder, ...args])).stdout.trim();
    // A package inside somebody else's repository has no commit of its own.
    if ((await git('rev-parse', '--show-prefix')) !== '') return null;
    const changed = (await git('status', '--porcelain', '--untracked-files=no')) !== '';
    return (await git('rev-parse', 'HEAD')) + (changed ? '+' : '');
  } catch {
    return null;
  }
}
