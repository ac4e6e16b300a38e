/**
 * Packs everything that a machine without network needs into build/bnn-bundle.tar.xz: dist/, the native build, models, tools, src (for
 * the benchmarks in tools/), production dependencies, the webgpu packages when `bnn setup webgpu` has installed them, and Node itself.
 *
 *     npm run bundle [-- --with-tests --with-mnist]
 *
 * Only files for this platform are taken; source maps, declarations and the other builds of the same libraries are left out, and so is
 * the MNIST data (--with-mnist takes it). On the
 * other machine: tar xf bnn-bundle.tar.xz && cd bnn-bundle && ./bnn doctor. See docs/gpu.md. Node built-ins only.
 */

import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = join(root, 'build', 'bnn-bundle');
const platform = `${process.platform}-${process.arch}`;

/** What npm counts as development and the bundle still needs: onnxruntime, an optional peer, and tsx, which runs tools/*.ts. */
const DEVELOPMENT = [
  'onnxruntime-node',
  'onnxruntime-common',
  'tsx',
  'esbuild',
  `@esbuild/${platform}`,
  'get-tsconfig',
  'resolve-pkg-maps',
];
if (process.argv.includes('--with-tests')) DEVELOPMENT.push('vitest', 'fast-check');

/** Names of packages that production needs, with everything they need. */
function productionPackages() {
  const text = execFileSync('npm', ['ls', '--omit=dev', '--all', '--parseable'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return text
    .split('\n')
    .map((path) => relative(join(root, 'node_modules'), path))
    .filter((name) => name !== '' && !name.startsWith('..'));
}

const OTHER_PLATFORM = /(^|[-/])(darwin|win32|linux|freebsd|android)([-/](x64|arm64|arm|ia32|universal))?([-/]|$)/;

/** Whether a file inside a package is of use there. */
function isNeeded(path) {
  const name = path.split(sep).join('/');
  if (/\.(map|d\.ts|d\.mts|d\.cts|md|markdown|flow|tsbuildinfo)$/i.test(name)) return false;
  if (/\/(test|tests|__tests__|docs|example|examples|benchmark)\//.test(name)) return false;
  // tfjs ships the same code up to ten times; Node loads the *.node.js file.
  if (
    /tfjs-(core|backend-cpu|backend-webgpu)\/(src|dist\/(?!tf-)[^/]+|dist\/tf-[^/]*(\.min|\.es2017|\.fesm)[^/]*)/.test(
      name,
    )
  ) {
    return /tfjs-core\/dist\/[^/]*$/.test(name) && !/tf-core\.(min|es2017|fesm)/.test(name)
      ? name.includes('.node.')
      : false;
  }
  // The same program as in @esbuild/<platform>.
  if (name.includes('esbuild/bin/')) return false;
  if (/onnxruntime-node\/bin\//.test(name)) return name.includes(`/${process.platform}/${process.arch}/`);
  if (name.includes('/prebuilds/')) return name.includes(`/${platform}/`);
  const found = OTHER_PLATFORM.exec(name.replace(/^.*node_modules\/(webgpu\/dist)\//, ''));
  if (/webgpu\/dist\//.test(name) && found !== null) return name.includes(`${process.platform}-`);
  return true;
}

function copyPackage(from, to) {
  if (!existsSync(from)) return;
  // Each package brings its own folder only; nested packages are listed by npm themselves.
  cpSync(from, to, {
    recursive: true,
    dereference: true,
    filter: (path) => statSync(path).isDirectory() || isNeeded(path),
  });
}

function sizeOf(path) {
  const info = statSync(path);
  if (!info.isDirectory()) return info.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

rmSync(target, { recursive: true, force: true });
mkdirSync(join(target, 'node'), { recursive: true });
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'src'], {
  cwd: root,
  stdio: 'inherit',
});
for (const name of [
  'dist',
  'src',
  'tools',
  'models',
  'proto',
  'docs',
  'package.json',
  'tsconfig.json',
  'LICENSE',
  'README.md',
]) {
  if (existsSync(join(root, name))) cpSync(join(root, name), join(target, name), { recursive: true });
}
if (process.argv.includes('--with-tests')) cpSync(join(root, 'test'), join(target, 'test'), { recursive: true });
mkdirSync(join(target, 'build'));
for (const name of readdirSync(join(root, 'build'))) {
  if (/\.(node|so|dylib)$/.test(name)) cpSync(join(root, 'build', name), join(target, 'build', name));
}
if (process.argv.includes('--with-mnist'))
  cpSync(join(root, 'packages/mnist'), join(target, 'packages/mnist'), { recursive: true });
for (const name of new Set([...productionPackages(), ...DEVELOPMENT])) {
  copyPackage(join(root, 'node_modules', name), join(target, 'node_modules', name));
}

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'bnn-toolchain', 'peers');
const places = [...(process.env.BNN_PEERS ?? '').split(delimiter), join(root, 'build', 'peers'), cache];
const webgpu = places
  .filter(Boolean)
  .map((folder) => join(folder, 'webgpu'))
  .find((folder) => existsSync(folder));
if (webgpu === undefined) {
  console.error('bundle: without webgpu, which is not installed (bnn setup webgpu)');
} else {
  const modules = join(webgpu, 'node_modules');
  for (const name of ['webgpu', '@tensorflow/tfjs-backend-webgpu']) {
    copyPackage(join(modules, name), join(target, 'build', 'peers', 'webgpu', 'node_modules', name));
  }
}

cpSync(process.execPath, join(target, 'node', 'node'), { dereference: true });
execFileSync('strip', [join(target, 'node', 'node')], { stdio: 'ignore' });
writeFileSync(
  join(target, 'bnn'),
  '#!/bin/sh\nhere="$(cd "$(dirname "$0")" && pwd)"\nexec "$here/node/node" "$here/dist/cli/bnn.js" "$@"\n',
);
chmodSync(join(target, 'bnn'), 0o755);

const archive = `${target}.tar.xz`;
execFileSync('tar', ['-C', join(root, 'build'), '-cJf', archive, 'bnn-bundle'], {
  stdio: 'inherit',
  env: { XZ_OPT: '-3 -T0', ...process.env },
});
const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
console.log(`${archive}: ${mib(statSync(archive).size)}, unpacked ${mib(sizeOf(target))}`);
