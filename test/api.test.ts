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
      "buildModel",
      "convertOnnx",
      "countMacs",
      "countParameters",
      "decodeModel",
      "decodeSafetensors",
      "defaultRecipe",
      "encodeModel",
      "encodeSafetensors",
      "findNetwork",
      "float32",
      "inferShapes",
      "layerStatistics",
      "loadDataset",
      "lowerToPacked",
      "openSession",
      "packSigns",
      "parseModel",
      "parsePreprocessing",
      "parseRecipe",
      "printModel",
      "readModel",
      "signOf",
      "tensor",
      "toChannelsFirst",
      "train",
      "unpackSigns",
      "validateModel",
      "verify",
      "writeModel",
      "zooNames",
    ]
  `);
});

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const reason = existsSync(join(ROOT, 'build/bnn_native.node')) ? '' : ' (skipped: slow without the native backend)';

it.skipIf(reason !== '')(
  `the programs of docs/api.md run as they stand${reason}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'bnn-api-'));
    try {
      mkdirSync(join(folder, 'node_modules'));
      symlinkSync(ROOT, join(folder, 'node_modules/bnn-toolchain'));
      const text = readFileSync(join(ROOT, 'docs/api.md'), 'utf8');
      const programs = [...text.matchAll(/```js\n([\s\S]*?)```/g)].map(([, program = '']) => program);
      const outputs = programs.map((program, i) => {
        writeFileSync(join(folder, `${i}.mjs`), program);
        return execFileSync(process.execPath, [`${i}.mjs`], { cwd: folder, encoding: 'utf8' });
      });
      expect(outputs).toHaveLength(3);
      expect(outputs[1]).toMatch(/^conv1 float .+\nconv2 binary \n[\s\S]*agreement: 1 /);
      expect(Number(/(\d+) of 100 right/.exec(outputs[2]!)?.[1])).toBeGreaterThan(80);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  120_000,
);
