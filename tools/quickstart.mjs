/**
 * Five minutes for a newcomer in two: trains a small binary network on MNIST (which is installed with the package), exports it with
 * one bit per weight and validates the file with stock onnxruntime. Every step is a real command, printed before it runs.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = 'runs/quickstart';
const packed = `${folder}/packed.onnx`;
const begin = performance.now();

/** Runs a command of this package, showing its progress; returns the object of its `result` line. */
function run(command, ...args) {
  console.log(`\n$ ${command} ${args.join(' ')}`);
  const child = spawnSync(process.execPath, [`dist/cli/${command}.js`, ...args, '--json'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
  });
  if (child.status !== 0) {
    console.error(`quickstart: ${command} failed`);
    process.exit(child.status ?? 1);
  }
  const lines = child.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  return lines.findLast((line) => line.event === 'result');
}

const hasNative = existsSync(`${root}/build/bnn_native.node`);
rmSync(`${root}/${folder}`, { recursive: true, force: true });
mkdirSync(`${root}/runs`, { recursive: true });

if (!hasNative) {
  console.log(
    'The native backend is not built (no C++ compiler was found), so this trains on the kernels in WebAssembly, which takes a few minutes.\n' +
      'With a compiler (Debian: apt-get install g++) it is several times faster. The published package brings it prebuilt.',
  );
}
const trained = run(
  'bnn-train',
  'models/mnist-quickstart.json',
  '--out',
  folder,
  ...(hasNative ? [] : ['--backend', 'wasm']),
);
const exported = run('bnn-export', folder, '-o', packed);
const validated = run(
  'bnn-validate',
  packed,
  '--dataset',
  'mnist',
  '--against',
  folder,
  '--ops',
  'off',
  '--engine',
  'onnxruntime',
);

const percent = (x) => `${(100 * x).toFixed(2)} %`;
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
const floatBytes = statSync(`${root}/${folder}/last/model.onnx`).size;
const packedBytes = statSync(`${root}/${packed}`).size;
const recipe = JSON.parse(readFileSync(`${root}/${folder}/recipe.json`, 'utf8'));
const rows = [
  ['network', `${recipe.model}, ${exported.binaryLayers} binary layers, ${exported.floatLayers} float layers`],
  ['training', `${trained.epochs} epochs, ${Math.round(trained.imagesPerSecond)} images/s`],
  [
    'size',
    `${kilobytes(floatBytes)} float -> ${kilobytes(packedBytes)} packed (${(floatBytes / packedBytes).toFixed(1)}x smaller)`,
  ],
  [
    'test accuracy',
    `${percent(trained.testTop1)} in training, ${percent(validated.top1)} for the packed file in stock onnxruntime`,
  ],
  ['agreement', `${percent(validated.agreement)} of ${validated.images} pictures get the same class from both files`],
  ['total time', `${Math.round((performance.now() - begin) / 1000)} s`],
  ['your model', packed],
];
console.log();
for (const [name, value] of rows) console.log(`${name.padEnd(14)} ${value}`);
console.log(`\nNext: bnn-inspect ${packed}, or train on your own pictures (see README.md).`);
