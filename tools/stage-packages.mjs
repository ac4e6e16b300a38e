/**
 * The packages that are published, as folders that `npm pack` takes: the main one, MNIST, and the CPU build of onnxruntime-web. Those of
 * the platforms are made by tools/release.mjs.
 *
 * The main package is not this folder: a clone needs neither the platforms' packages, which are not published yet, nor MNIST, which it
 * has, and whoever installs the package needs no scripts and no development tools.
 */

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { publishTypes } from './public-types.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));
const writeJson = (path, value) => writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`);

const MNIST = 'packages/mnist';
export const ONNXRUNTIME_WASM = '@bnn-toolchain/onnxruntime-wasm';

/** onnxruntime-web without what browsers and GPUs need, its WebAssembly compressed: 3 MB of 135. */
const ONNXRUNTIME_FILES = ['ort.node.min.js', 'ort-wasm-simd-threaded.mjs'];
const ONNXRUNTIME_WASM_FILE = 'ort-wasm-simd-threaded.wasm';
const ONNXRUNTIME_ENTRY = `const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { brotliDecompressSync } = require('node:zlib');
const ort = require('./ort.node.min.js');

// Decompressed when the first session is made.
let binary;
Object.defineProperty(ort.env.wasm, 'wasmBinary', {
  configurable: true,
  enumerable: true,
  get: () => (binary ??= brotliDecompressSync(readFileSync(join(__dirname, '${ONNXRUNTIME_WASM_FILE}.br')))),
});
module.exports = ort;
`;

function emptied(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

/**
 * The main package.
 *
 * @param platforms  names of the packages with native code, which become optional dependencies of the same version.
 */
export function stageMain(folder, platforms) {
  emptied(folder);
  const own = readJson(join(root, 'package.json'));
  const { private: _, scripts, devDependencies, dependencies, ...kept } = own;
  for (const entry of own.files) {
    if (entry.startsWith('!') || entry === 'dist') continue;
    cpSync(join(root, entry), join(folder, entry), { recursive: true });
  }
  for (const name of ['README.md', 'LICENSE']) cpSync(join(root, name), join(folder, name));
  // Compiled anew: dist/ of a checkout may hold what sources that are gone have left.
  const dist = join(folder, 'dist');
  const run = (...args) => execFileSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  run('node_modules/typescript/bin/tsc', '-p', 'src', '--outDir', dist, '--incremental', 'false');
  run('tools/build-web.mjs', `--out=${dist}`);
  publishTypes(dist);
  const mnist = readJson(join(root, MNIST, 'package.json'));
  writeJson(join(folder, 'package.json'), {
    ...kept,
    // Native code is built into it, and read from it.
    preferUnplugged: true,
    dependencies: {
      [mnist.name]: mnist.version,
      [ONNXRUNTIME_WASM]: devDependencies['onnxruntime-web'],
      ...dependencies,
    },
    optionalDependencies: Object.fromEntries(platforms.map((name) => [name, own.version])),
  });
}

export function stageMnist(folder) {
  cpSync(join(root, MNIST), emptied(folder), { recursive: true });
}

export function stageOnnxruntime(folder) {
  emptied(folder);
  const entry = createRequire(import.meta.url).resolve('onnxruntime-web');
  for (const file of ONNXRUNTIME_FILES) cpSync(join(dirname(entry), file), join(folder, file));
  const binary = readFileSync(join(dirname(entry), ONNXRUNTIME_WASM_FILE));
  const params = { [constants.BROTLI_PARAM_QUALITY]: 7, [constants.BROTLI_PARAM_LGWIN]: 24 };
  writeFileSync(join(folder, `${ONNXRUNTIME_WASM_FILE}.br`), brotliCompressSync(binary, { params }));
  writeFileSync(join(folder, 'index.js'), ONNXRUNTIME_ENTRY);
  const { version, license, dependencies } = readJson(join(dirname(entry), '../package.json'));
  const { engines } = readJson(join(root, 'package.json'));
  writeJson(join(folder, 'package.json'), {
    name: ONNXRUNTIME_WASM,
    version,
    description: `The CPU build of onnxruntime-web ${version} for Node, for bnn-toolchain where onnxruntime-node is not installed.`,
    license,
    author: 'Microsoft Corporation',
    engines,
    main: 'index.js',
    files: ['index.js', ...ONNXRUNTIME_FILES, `${ONNXRUNTIME_WASM_FILE}.br`],
    // It reads its WebAssembly by path.
    preferUnplugged: true,
    dependencies: { 'onnxruntime-common': dependencies['onnxruntime-common'] },
  });
  writeFileSync(
    join(folder, 'README.md'),
    `# ${ONNXRUNTIME_WASM}\n\nThree files of [onnxruntime-web](https://www.npmjs.com/package/onnxruntime-web) ${version}: onnxruntime on the CPU, in\nWebAssembly, for Node. The WebAssembly is compressed, and decompressed when the first session is made; nothing else is changed. \`bnn-toolchain\` runs models in it where onnxruntime-node is not installed. onnxruntime-web itself takes forty times\nthe space. Copyright Microsoft Corporation, MIT licence.\n`,
  );
  cpSync(join(root, 'tools/onnxruntime-license.txt'), join(folder, 'LICENSE'));
}

/** Packs a folder without running anything of it; returns the path of the archive in `out`. */
export function pack(folder, out) {
  if (!existsSync(out)) mkdirSync(out, { recursive: true });
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', out];
  const [{ filename }] = JSON.parse(execFileSync('npm', args, { cwd: folder, encoding: 'utf8' }));
  return join(out, filename);
}
