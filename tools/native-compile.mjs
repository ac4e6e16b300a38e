/** Runs the compiler for what tools/native-plan.mjs plans: only what changed, on all processors. Node's own modules only. */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** A reason why something cannot be built, with what to do about it. */
export class BuildProblem extends Error {
  constructor(found, advice) {
    super(`${found}; the tensorflow and cpu backends, export and validation work without it. ${advice}`);
  }
}

/** What was built in a folder: the hash of each object and library. */
export function readManifest(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));
  } catch {
    return {};
  }
}

/** Adds entries; read again first, because another build may have run meanwhile. */
export function writeManifest(folder, entries) {
  const temporary = join(folder, `manifest.${process.pid}.tmp`);
  writeFileSync(temporary, JSON.stringify({ ...readManifest(folder), ...entries }, undefined, 1));
  renameSync(temporary, join(folder, 'manifest.json'));
}

/** Runs a command; undefined when it succeeded, else the beginning of what it printed. */
function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (data) => {
      errors += data;
    });
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code) => {
      resolve(code === 0 ? undefined : errors.split('\n').slice(0, 12).join('\n') || `exit code ${code}`);
    });
  });
}

/** Compiles those of the planned objects that are not up to date in `folder`; returns how many. */
export async function compileAll(tasks, compiler, folder) {
  mkdirSync(folder, { recursive: true });
  const manifest = readManifest(folder);
  const waiting = tasks.filter((task) => manifest[task.name] !== task.hash || !existsSync(task.object));
  const done = {};
  const failures = [];
  let next = 0;
  async function worker() {
    while (next < waiting.length && failures.length === 0) {
      const task = waiting[next++];
      const temporary = `${task.object}.${process.pid}.tmp`;
      const problem = await run(compiler.command, [...task.args, '-c', task.file, '-o', temporary]);
      if (problem !== undefined) {
        rmSync(temporary, { force: true });
        failures.push(`${task.name}:\n${problem}`);
        continue;
      }
      renameSync(temporary, task.object);
      done[task.name] = task.hash;
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, availableParallelism()) }, worker));
  writeManifest(folder, done);
  if (failures.length > 0) {
    throw new BuildProblem(
      `it did not compile with ${compiler.version}: ${failures[0]}`,
      'Use GCC 10 or later or Clang 11 or later (CXX=… names another compiler), then run: bnn setup native',
    );
  }
  return waiting.length;
}

/** Links into a folder beside `target`, under its own name, which the file may hold; it takes its place when it is complete. */
export async function link(compiler, args, target) {
  const folder = mkdtempSync(join(dirname(target), '.link-'));
  try {
    const made = join(folder, basename(target));
    const problem = await run(compiler.command, [...compiler.args, ...args, '-o', made]);
    if (problem !== undefined) {
      throw new BuildProblem(
        `it did not link: ${problem}`,
        'Check the compiler installation, then run: bnn setup native',
      );
    }
    renameSync(made, target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a library depends on: the hashes of its objects and how they are linked. */
export function linkStamp(linkFlags, tasks) {
  const parts = [linkFlags, tasks.map((task) => task.hash)];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
