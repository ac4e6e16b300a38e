/**
 * The operator library and the addon in other releases of onnxruntime than the one that onnxruntime-node has here, against the same
 * release without the library. BNN_ONNXRUNTIME names their libraries, separated by `:`; unless told, those that
 * tools/fetch-onnxruntime.mjs has put into build/onnxruntime.
 */

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { float32, tensor } from '../../src/core/tensors/tensor.ts';
import { int, ints } from '../../src/graph/attribute.ts';
import type { Model } from '../../src/graph/model.ts';
import { findOpsLibrary, loadOrtAddon } from '../../src/inference/native-addon.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { oneNodeModel } from '../operators/run-stock.ts';
import { endAtGlobalAverage } from './trunk.ts';

const PROGRAM = fileURLToPath(new URL('other-runtime.mjs', import.meta.url));
const CACHE = fileURLToPath(new URL('../../build/onnxruntime', import.meta.url));
const run = promisify(execFile);

function cachedRuntimes(): string[] {
  if (!existsSync(CACHE)) return [];
  const paths = readdirSync(CACHE, { recursive: true, encoding: 'utf8' });
  return paths.filter((path) => /^[\d.]+\/libonnxruntime\.so/.test(path)).map((path) => join(CACHE, path));
}

const runtimes = process.env['BNN_ONNXRUNTIME']?.split(delimiter) ?? cachedRuntimes();
const [addon, library] = [loadOrtAddon(), findOpsLibrary()];

function missingPart(): string | undefined {
  for (const part of [addon, library]) if (!part.ok) return part.reason;
  return runtimes.length > 0 ? undefined : 'no other onnxruntime is there; run: node tools/fetch-onnxruntime.mjs';
}

/** Networks and input shapes: convolutions, dense layers, data compared with 0 and with learned thresholds, weights alone. */
const NETWORKS = [
  ['resnet20', [2, 3, 32, 32]],
  ['resnet20-react', [2, 3, 32, 32]],
  ['vgg-small', [1, 3, 32, 32]],
  ['resnet20-1w32a', [2, 3, 32, 32]],
  ['binarynet-mini', [5, 1, 28, 28]],
] as const;

/** A binary convolution of an image of 4×4. */
function layer(pad: number, dilation: number): Model {
  const inputs = [
    float32([1, 16, 4, 4], new Float32Array(256)),
    tensor('uint8', [2, 3, 3, 2], new Uint8Array(36)),
    float32([2], [1, 1]),
    float32([2], [0, 0]),
  ];
  return oneNodeModel('BinaryConv', inputs, {
    strides: ints([1, 1]),
    pads: ints([pad, 0, 0, 0]),
    dilations: ints([dilation, dilation]),
    group: int(1),
    kernel_shape: ints([3, 3]),
    channels: int(16),
  });
}

/** Nodes that the library refuses, when a session is made and when it runs. */
const REFUSED = [
  ['pads', layer(-1, 1), 'model', /node "layer" \(bnn.BinaryConv\): attribute pads holds -1/],
  ['dilations', layer(0, 2), 'run', /node "layer" \(bnn.BinaryConv\): a kernel of 3 \(dilation 2\) does not fit 4/],
] as const;

/** What other-runtime.mjs reports for a job. */
type Report =
  | { readonly code: string; readonly message: string }
  | {
      readonly same: boolean;
      readonly difference: number;
      readonly ops: readonly string[];
      readonly stock: readonly string[];
    };

const missing = missingPart();
describe.skipIf(missing !== undefined)(
  `other releases of onnxruntime${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'bnn-runtimes-'));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));
    const jobsPath = join(folder, 'jobs.json');

    /** Its `bnn` operators, by network. */
    const operators = new Map<string, string[]>();

    beforeAll(() => {
      const job = (name: string, model: Model, input: string, output: string, shape: readonly number[]) => {
        const path = join(folder, `${name}.onnx`);
        writeFileSync(path, encodeModel(model));
        return { model: path, input, output, shape };
      };
      const networks = NETWORKS.map(([name, shape]) => {
        const { model } = lowerToPacked(buildModel(name, { seed: 3 }));
        operators.set(
          name,
          model.functions.map((f) => f.name),
        );
        return job(name, model, 'input', endAtGlobalAverage(model), shape);
      });
      const refused = REFUSED.map(([name, model]) => job(name, model, 'x', 'y', [1, 16, 4, 4]));
      writeFileSync(jobsPath, JSON.stringify([...networks, ...refused]));
    });

    test.each(runtimes)('%s', async (runtime) => {
      if (!addon.ok || !library.ok) throw new Error('internal: skipped');
      const args = [PROGRAM, addon.value.path, library.value, runtime, jobsPath];
      const { stdout, stderr } = await run(process.execPath, args);
      // It complains there about a version of its interface that it does not have.
      expect(stderr).toBe('');
      const { version, reports } = JSON.parse(stdout) as { version: string; reports: Report[] };
      expect(version).toMatch(/^1\.\d+\.\d+/);
      for (const [i, [name]] of NETWORKS.entries()) {
        const report = reports[i]!;
        if ('message' in report) throw new Error(`${name}: ${report.message}`);
        const own = operators.get(name)!;
        expect(own).not.toEqual([]);
        expect(report.ops, name).toEqual(expect.arrayContaining(own));
        for (const operator of own) expect(report.stock, name).not.toContain(operator);
        if (name.endsWith('-1w32a')) expect(report.difference, name).toBeLessThan(1e-5);
        else expect(report.same, name).toBe(true);
      }
      for (const [i, [name, , code, message]] of REFUSED.entries()) {
        const report = { code, message: expect.stringMatching(message) as string };
        expect(reports[NETWORKS.length + i], name).toEqual(report);
      }
    });
  },
);
