import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import * as api from '../src/index.ts';

it('exports these values and no others', () => {
  expect(Object.keys(api).sort()).toMatchInlineSnapshot(`
    [
      "BNN_OPERATORS",
      "BNN_RULES",
      "Batcher",
      "BnnError",
      "DATASET_NAMES",
      "Graph",
      "Model",
      "PREPROCESSING_KEY",
      "STANDARD_RULES",
      "ZOO",
      "addBnnFunctions",
      "benchConv",
      "benchData",
      "benchModel",
      "benchModelOn",
      "benchTrain",
      "benchWeb",
      "binarizeFloat",
      "buildModel",
      "classify",
      "compareRecipes",
      "convertFile",
      "convertOnnx",
      "countMacs",
      "countParameters",
      "decodeModel",
      "decodeSafetensors",
      "defaultRecipe",
      "definePlugin",
      "encodeModel",
      "encodeSafetensors",
      "exportModel",
      "findModel",
      "findNetwork",
      "float32",
      "inferShapes",
      "inspectFile",
      "joinProcesses",
      "layerStatistics",
      "loadDataset",
      "lowerToPacked",
      "openSession",
      "openTeacher",
      "packSigns",
      "parseModel",
      "parsePreprocessing",
      "parseRecipe",
      "predictPictures",
      "printModel",
      "probeMachine",
      "readModel",
      "readRecipeFile",
      "setupCuda",
      "setupTensorflow",
      "setupWebgpu",
      "signOf",
      "summarizeModel",
      "tensor",
      "toChannelsFirst",
      "train",
      "unpackSigns",
      "validateModel",
      "verify",
      "withModelFiles",
      "writeModel",
      "writeReport",
      "writeSite",
      "writeTrainingSite",
      "zooNames",
    ]
  `);
});

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PARTS = ['build/bnn_native.node', 'build/bnn_ort.node', 'build/libbnn_ops.so', 'dist/web/index.js'];
const unbuilt = PARTS.filter((part) => !existsSync(join(ROOT, part)));
const reason = unbuilt.length === 0 ? '' : ` (skipped: ${unbuilt.join(', ')} not built)`;

/** What each program prints. */
const EXPECTED = [
  /testTop1: 0\.9[\s\S]*model\.onnx$/,
  /^conv1 float .+\nconv2 binary \n[\s\S]*agreement: 1 /,
  /(8[1-9]|9\d|100) of 100 right/,
  /^\d [\d.]+$/,
  /^2 binary layers, same arg-max on 100 %/,
  /^conv1 by 8 pictures, same arg-max on \d+(\.\d+)? %/,
  /^\[ 'float', 'binary' \] 64 inputs compared/,
  /^11 layers are binary now, 9 are not/,
  /^packed [\d.]+ \[ 'conv1: 32', [\s\S]*'conv2: 1'[\s\S]*'fc1\.weight 64,16'[\s\S]*agreement: 1 /,
  /'index\.html'[\s\S]*'model\.onnx'/,
  /^\{ testTop1: 0\.\d/,
  /^\{ testTop1: 0\.\d/,
  /^base 0\.\d+\nclipped 0\.\d+\nruns.compare.results\.json/,
  /^conv3x3 64@14x14 [\d.]+\nbinarynet-mini [\d.]+\n\{ imagesPerSecond: [\d.]+, gflops: [\d.]+ \}\nimage-folder train, 8 pictures [\d.]+\n/,
  /'bnn-toolchain': [\s\S]*'native'/,
];

it.skipIf(reason !== '')(
  `the programs of docs/api.md run as they stand${reason}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'bnn-api-'));
    try {
      mkdirSync(join(folder, 'node_modules'));
      symlinkSync(ROOT, join(folder, 'node_modules/bnn-toolchain'));
      symlinkSync(join(ROOT, 'node_modules/sharp'), join(folder, 'node_modules/sharp'));
      const text = readFileSync(join(ROOT, 'docs/api.md'), 'utf8');
      const programs = [...text.matchAll(/```js\n([\s\S]*?)```/g)].map(([, program = '']) => program);
      expect(programs).toHaveLength(EXPECTED.length);
      for (const [i, program] of programs.entries()) {
        writeFileSync(join(folder, `${i}.mjs`), program);
        const output = execFileSync(process.execPath, [`${i}.mjs`], { cwd: folder, encoding: 'utf8' });
        expect(output.trimEnd(), program).toMatch(EXPECTED[i]!);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  400_000,
);
