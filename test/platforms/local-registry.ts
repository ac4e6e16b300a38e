/** A registry on this machine (verdaccio) that has our packages and takes all others from the npm registry. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { nativeFiles } from '../../src/core/native-files.ts';
import { NODE, TOOLS } from './package-managers.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const WORK = join(ROOT, 'build/platforms/registry');

export interface Registry {
  readonly url: string;
  /** Whether the platform's package is the released one, or made of what was built here. */
  readonly isReleased: boolean;
  stop(): void;
}

const CONFIG = `
storage: ./storage
uplinks:
  npmjs: { url: https://registry.npmjs.org/, timeout: 120s }
packages:
  'bnn-toolchain': { access: $all, publish: $all }
  '@bnn-toolchain/*': { access: $all, publish: $all }
  '**': { access: $all, proxy: npmjs }
max_body_size: 200mb
log: { type: stdout, format: pretty, level: warn }
`;

/** The package of this platform as tools/release.mjs made it, else one of the same form from build/. */
function platformPackage(): { readonly folder: string; readonly isReleased: boolean } {
  const released = join(ROOT, 'release/packages/linux-x64');
  if (existsSync(join(released, 'package.json'))) return { folder: released, isReleased: true };
  const folder = join(WORK, 'linux-x64');
  mkdirSync(folder, { recursive: true });
  for (const file of Object.values(nativeFiles('linux'))) cpSync(join(ROOT, 'build', file), join(folder, file));
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const manifest = { name: '@bnn-toolchain/linux-x64', version, os: ['linux'], cpu: ['x64'], libc: ['glibc'] };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, preferUnplugged: true }));
  return { folder, isReleased: false };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts the registry and publishes the main package, MNIST, onnxruntime for the CPU and the package of this platform. */
export async function startRegistry(): Promise<Registry> {
  // What was published is published anew; what came from npm stays.
  for (const name of ['bnn-toolchain', '@bnn-toolchain'])
    rmSync(join(WORK, 'storage', name), { recursive: true, force: true });
  rmSync(join(WORK, 'storage/.verdaccio-db.json'), { force: true });
  mkdirSync(WORK, { recursive: true });
  writeFileSync(join(WORK, 'config.yaml'), CONFIG);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const server = spawn(
    NODE,
    [join(TOOLS, 'node_modules/verdaccio/bin/verdaccio'), '--config', join(WORK, 'config.yaml'), '--listen', url],
    { cwd: WORK, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  try {
    await answer(url, server);
    const packed = join(WORK, 'packed');
    execFileSync(process.execPath, ['tools/pack.mjs', `--out=${packed}`], { cwd: ROOT, stdio: 'ignore' });
    const { folder, isReleased } = platformPackage();
    for (const name of ['mnist', 'onnxruntime-wasm', 'main']) publish(join(packed, 'staged', name), url);
    publish(folder, url);
    return { url, isReleased, stop: () => void server.kill() };
  } catch (error) {
    server.kill();
    throw error;
  }
}

async function answer(url: string, server: ChildProcess): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`the registry ended with ${server.exitCode}`);
    try {
      if ((await fetch(`${url}-/ping`)).ok) return;
    } catch {
      // Not yet.
    }
    await sleep(200);
  }
}

function publish(folder: string, url: string): void {
  const token = `--${url.replace('http:', '')}:_authToken=nobody`;
  const args = ['publish', '--ignore-scripts', '--access', 'public', '--registry', url, token];
  execFileSync('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
}
