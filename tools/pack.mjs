/**
 * Packs the packages that hold no native code into build/packages (or --out=FOLDER): the main one, MNIST, onnxruntime for the CPU.
 *
 *     node tools/pack.mjs [--out=FOLDER] [--check]
 *
 *     --check    also look at the main package as its users get it: publint, and whether its types can be resolved
 */

import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PLATFORMS } from './release-platforms.mjs';
import { pack, stageMain, stageMnist, stageOnnxruntime } from './stage-packages.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = resolve(
  process.argv.find((text) => text.startsWith('--out='))?.slice('--out='.length) ?? join(root, 'build/packages'),
);
const stage = (name) => join(out, 'staged', name);

stageMain(
  stage('main'),
  PLATFORMS.map(({ name }) => `@bnn-toolchain/${name}`),
);
stageMnist(stage('mnist'));
stageOnnxruntime(stage('onnxruntime-wasm'));
const [main, ...others] = ['main', 'mnist', 'onnxruntime-wasm'].map((name) => pack(stage(name), out));
for (const archive of [main, ...others]) console.log(archive);
if (process.argv.includes('--check')) {
  const run = (tool, ...args) =>
    execFileSync(process.execPath, [join(root, 'node_modules', tool), ...args], { cwd: root, stdio: 'inherit' });
  run('publint/src/cli.js', main, '--strict');
  run('@arethetypeswrong/cli/dist/index.js', main, '--profile', 'esm-only');
}
