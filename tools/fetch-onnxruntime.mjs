/**
 * Fetches what the tests against other onnxruntimes need into build/onnxruntime: the library of the oldest release that the native code
 * supports, the C and C++ headers, a Python environment. Each part is independent; one that cannot be had is named with the reason, and
 * its tests skip. Nothing else needs them, so the exit code is always 0. Node built-ins only.
 *
 *     BNN_PYTHON=$(node tools/fetch-onnxruntime.mjs)      prints the interpreter, that of BNN_PYTHON if it is set
 */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = join(root, 'build', 'onnxruntime');
const TIMEOUT_MS = 180_000;

/** The oldest release with `KernelContext_ParallelFor` that npm has a library of. */
const OLDEST = '1.17.3';

/** Headers alone, from Debian 13: no npm package has them. Programs built with them need a library of at least this release. */
const HEADERS = {
  url: 'https://deb.debian.org/debian/pool/main/o/onnxruntime/libonnxruntime-dev_1.21.0+dfsg-1_amd64.deb',
  sha256: '14f7d959d5deacbcf1504830d4189f91fc67382b399ed9ae9d3aa9c4050ced08',
};

/** The release of the Python package is that of onnxruntime-node here. */
const PYTHON_RELEASE = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies['onnxruntime-node'];
const PYTHON = `python-${PYTHON_RELEASE}`;

const run = promisify(execFile);
const runIn = (cwd, command, ...args) => run(command, args, { cwd, timeout: TIMEOUT_MS });

async function fetchOldest(folder) {
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error('it is fetched for x64 Linux only');
  const { stdout } = await runIn(folder, 'npm', 'pack', '--silent', `onnxruntime-node@${OLDEST}`);
  const library = `package/bin/napi-v3/linux/x64/libonnxruntime.so.${OLDEST}`;
  const archive = stdout.trim();
  await runIn(folder, 'tar', 'xzf', archive, '--strip-components=5', library);
  rmSync(join(folder, archive));
}

async function fetchHeaders(folder) {
  const response = await fetch(HEADERS.url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${HEADERS.url}: ${response.status}`);
  const bytes = Buffer.from(await response.arrayBuffer());
  const digest = createHash('sha256').update(bytes).digest('hex');
  if (digest !== HEADERS.sha256) throw new Error(`${HEADERS.url} has the digest ${digest}, expected ${HEADERS.sha256}`);
  writeFileSync(join(folder, 'headers.deb'), bytes);
  await runIn(folder, 'dpkg-deb', '-x', 'headers.deb', '.');
  rmSync(join(folder, 'headers.deb'));
}

async function fetchPython(folder) {
  const packages = [`onnxruntime==${PYTHON_RELEASE}`, 'numpy', 'onnx', 'pillow'];
  await runIn(folder, 'python3', '-m', 'venv', '.');
  await runIn(folder, 'bin/python', '-m', 'pip', 'install', '--quiet', '--retries', '1', ...packages);
}

/** Fills a folder of build/onnxruntime, all or nothing. */
async function provide(name, what, fill) {
  const folder = join(target, name);
  if (existsSync(folder)) return;
  mkdirSync(target, { recursive: true });
  const partial = mkdtempSync(join(target, '.partial-'));
  try {
    await fill(partial);
    renameSync(partial, folder);
  } catch (error) {
    const reason = (error.stderr || error.message).trim().split('\n').at(-1);
    console.error(`could not fetch ${what}: ${reason}`);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

const own = process.env['BNN_PYTHON'];
await Promise.all([
  provide(OLDEST, `onnxruntime ${OLDEST}`, fetchOldest),
  provide('headers', "onnxruntime's headers", fetchHeaders),
  own ? undefined : provide(PYTHON, `onnxruntime ${PYTHON_RELEASE} for Python`, fetchPython),
]);
const interpreter = own || join(target, PYTHON, 'bin', 'python');
if (own || existsSync(interpreter)) console.log(interpreter);
