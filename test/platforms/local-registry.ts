/** A registry on this machine (verdaccio) that has our packages and takes all others from the npm registry. */

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  nativeFiles,
  PLATFORMS,
  type PlatformName,
  platformPackage as packageNameOf,
} from '../../src/core/machine/native-files.ts';
import { nodeOf, verdaccio } from './package-managers.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const WORK = join(ROOT, 'build/platforms/registry');
/** What the tests run on. */
const HERE = 'linux-x64';

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

const released = (platform: PlatformName) => join(ROOT, 'release/packages', platform);
const isReleased = (platform: PlatformName) => existsSync(join(released(platform), 'package.json'));

/**
 * A platform's package as tools/release.mjs made it, else one of the same form: with what was built here for this platform, with nothing
 * for others, which some package managers want to know without installing them.
 */
function platformFolder(platform: PlatformName): string {
  if (isReleased(platform)) return released(platform);
  const folder = join(WORK, platform);
  mkdirSync(folder, { recursive: true });
  const [os = '', cpu = '', libc] = platform.split('-');
  if (platform === HERE) {
    for (const file of Object.values(nativeFiles('linux'))) cpSync(join(ROOT, 'build', file), join(folder, file));
  }
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const manifest = { name: packageNameOf(platform), version, os: [os], cpu: [cpu], preferUnplugged: true };
  const only = os === 'linux' ? { libc: [libc ?? 'glibc'] } : {};
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, ...only }));
  return folder;
}

/** Why there can be no registry here; what it takes is fetched. */
export function missingRegistry(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'this is not Linux on x64';
  try {
    nodeOf(22);
    verdaccio();
    return undefined;
  } catch (error) {
    const text = String((error as { readonly stderr?: unknown }).stderr ?? error);
    const unreachable = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH/.exec(text);
    if (unreachable === null) throw error;
    return `the npm registry cannot be reached (${unreachable[0]})`;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts the registry and publishes the main package, MNIST, onnxruntime for the CPU and the packages of the platforms. */
export async function startRegistry(): Promise<Registry> {
  // What was published is published anew; what came from npm stays.
  for (const name of ['bnn-toolchain', '@bnn-toolchain'])
    rmSync(join(WORK, 'storage', name), { recursive: true, force: true });
  rmSync(join(WORK, 'storage/.verdaccio-db.json'), { force: true });
  mkdirSync(WORK, { recursive: true });
  writeFileSync(join(WORK, 'config.yaml'), CONFIG);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const args = [verdaccio(), '--config', join(WORK, 'config.yaml'), '--listen', url];
  const log = openSync(join(WORK, 'verdaccio.log'), 'w');
  const server = spawn(nodeOf(22), args, { cwd: WORK, stdio: ['ignore', log, 'inherit'] });
  try {
    await answer(url, server);
    const packed = join(WORK, 'packed');
    execFileSync(process.execPath, ['tools/pack.mjs', `--out=${packed}`], { cwd: ROOT, stdio: 'ignore' });
    const staged = ['mnist', 'onnxruntime-wasm', 'main'].map((name) => join(packed, 'staged', name));
    await Promise.all([...staged, ...PLATFORMS.map(platformFolder)].map((folder) => publish(folder, url)));
    return { url, isReleased: isReleased(HERE), stop: () => void server.kill() };
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

async function publish(folder: string, url: string): Promise<void> {
  const token = `--${url.replace('http:', '')}:_authToken=nobody`;
  const args = ['publish', '--ignore-scripts', '--access', 'public', '--registry', url, token];
  await promisify(execFile)('npm', args, { cwd: folder });
}
