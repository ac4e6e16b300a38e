/**
 * Makes a clone ready to use: dependencies (npm ci, when the lock file changed), the native addon (when its sources changed) and
 * dist/ (incremental). Every npm script that needs them calls this first, so any of them works on a fresh clone. Node built-ins only.
 */

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const stampFile = join(root, 'node_modules/.bnn-setup');

const REPORT_MS = 5000;

/** Runs what takes a minute or more without a word, and says every few seconds how far it is. */
async function runWatched(command, args, progress) {
  const start = Date.now();
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  const timer = setInterval(
    () => console.error(`setup: ${Math.round((Date.now() - start) / 1000)} s, ${progress()}`),
    REPORT_MS,
  );
  try {
    const [status] = await once(child, 'exit');
    finish(command, args, status, undefined);
  } catch (error) {
    finish(command, args, null, error);
  } finally {
    clearInterval(timer);
  }
}

function packagesInstalled() {
  const modules = join(root, 'node_modules');
  const count = existsSync(modules) ? readdirSync(modules).filter((name) => !name.startsWith('.')).length : 0;
  return count === 0 ? 'npm fetches packages' : `npm has put ${count} folders into node_modules`;
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  finish(command, args, status, error);
}

function finish(command, args, status, error) {
  if (error !== undefined) console.error(`setup: cannot start ${command}: ${error.message}`);
  if (status !== 0) {
    console.error(`setup: "${command} ${args.join(' ')}" failed`);
    process.exit(1);
  }
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 17)) {
  console.error(`setup: this is Node ${process.versions.node}, the project needs 20.17 or newer`);
  process.exit(1);
}

const lockHash = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');
const installed = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === lockHash;
if (installed) {
  run(process.execPath, ['tools/build-native.mjs']);
} else {
  console.error('setup: installing dependencies (npm ci)');
  // The npm that runs this script, as a program: on Windows its command would need a shell.
  const npm = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  if (npm?.endsWith('npm-cli.js')) await runWatched(process.execPath, [npm, ...args], packagesInstalled);
  else await runWatched('npm', args, packagesInstalled);
  run(process.execPath, ['tools/build-native.mjs']);
  writeFileSync(stampFile, lockHash);
}
run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'src']);
run(process.execPath, ['tools/build-web.mjs']);
