/**
 * Packs the packages that hold no native code into build/packages (or --out=FOLDER): the main one, MNIST, onnxruntime for the CPU.
 *
 *     node tools/pack.mjs [--out=FOLDER]
 *
 * The folders that they are packed from are in staged/ beside them.
 */

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
for (const name of ['main', 'mnist', 'onnxruntime-wasm']) console.log(pack(stage(name), out));
