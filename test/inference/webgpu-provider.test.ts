/** onnxruntime's own webgpu provider, on whatever device is there, a software one included. */

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import '../backends/webgpu/swiftshader.ts';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { LOGITS_TOLERANCE, maxAbsoluteError } from '../../src/core/numbers/tolerance.ts';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { Builder } from '../../src/graph/builder.ts';
import { timeVariants } from '../../src/inference/bench-timing.ts';
import { parsePlacement } from '../../src/inference/placement.ts';
import { probeProviders } from '../../src/inference/probe-providers.ts';
import { createSession } from '../../src/inference/session.ts';
import { validateModel } from '../../src/inference/validate.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { waves } from './waves.ts';

const report = (await probeProviders()).find(({ name }) => name === 'webgpu');
const missing = report?.works === true ? undefined : (report?.detail ?? 'not known');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-webgpu-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** y = |x| + 1, its nodes called `abs` and `add`. */
function twoNodes(): Uint8Array {
  const builder = new Builder('two');
  const x = builder.input('x', 'float32', [2]);
  const absolute = builder.op('Abs', [x], {}, 'abs');
  builder.output(builder.op('Add', [absolute, builder.constant('one', float32([], [1]))], {}, 'add'), 'float32', [2]);
  return encodeModel(builder.model);
}

describe.skipIf(missing !== undefined)(
  `--ep webgpu${missing ? ` (skipped: ${missing})` : ''}`,
  { timeout: 120_000 },
  () => {
    test('a packed ResNet-20: the CPU’s logits, every node on webgpu, function bodies inlined and weights unpacked at load', async () => {
      const packed = encodeModel(lowerToPacked(buildModel('resnet20', { seed: 5 })).model);
      const x = waves(3 * 32 * 32, 1);
      const cpu = await createSession(packed);
      const { data: expected } = await cpu.run(x, [1, 3, 32, 32]);
      await cpu.dispose();
      // Nothing of ours between: another session would translate all shaders again, which takes a software device seconds.
      const profiled = await ort.InferenceSession.create(packed, {
        executionProviders: ['webgpu'],
        enableProfiling: true,
        profileFilePrefix: join(folder, 'resnet20'),
      });
      const results = await profiled.run({ [profiled.inputNames[0]!]: new ort.Tensor('float32', x, [1, 3, 32, 32]) });
      profiled.endProfiling();
      const largest = Math.max(...expected.map(Math.abs));
      const logits = results[profiled.outputNames[0]!]?.data as Float32Array;
      expect(maxAbsoluteError(logits, expected)).toBeLessThan(LOGITS_TOLERANCE * largest);
      await profiled.release();
      const text = await readFile(
        join(folder, (await readdir(folder)).find((name) => name.endsWith('.json'))!),
        'utf8',
      );
      const events = JSON.parse(text) as { cat: string; args: { op_name: string; provider: string } }[];
      const nodes = events.filter(({ cat }) => cat === 'Node');
      expect(new Set(nodes.map(({ args }) => args.provider))).toEqual(new Set(['WebGpuExecutionProvider']));
      expect(parsePlacement(text)).toEqual({ nodes: { webgpu: nodes.length }, onCpu: [] });
      expect(parsePlacement(text)).toEqual({ nodes: { webgpu: nodes.length }, onCpu: [] });
      const operators = nodes.map(({ args }) => args.op_name);
      // 19 layers; in nine of the 18 binary ones the signs come of one of their own, in the others signs, scale and residual do.
      expect(operators.filter((operator) => operator === 'Conv')).toHaveLength(19 + 9 + 3 * 9);
      // What unpacks bits: it ran once, when the model was loaded.
      for (const operator of ['Gather', 'Cast', 'Slice', 'Reshape', 'Expand', 'BinaryConv'])
        expect(operators).not.toContain(operator);
    });

    test('a session says where its nodes ran', async () => {
      const cpu = await createSession(twoNodes());
      const gpu = await createSession(twoNodes(), { ep: 'webgpu', epOptions: { preferredLayout: 'NHWC' } });
      expect([cpu.placement, gpu.placement]).toEqual([null, null]);
      for (const session of [cpu, gpu]) {
        expect(Array.from((await session.run(Float32Array.of(-3, 4), [2])).data)).toEqual([4, 5]);
      }
      expect([cpu.placement, gpu.placement]).toEqual([null, { nodes: { webgpu: 2 }, onCpu: [] }]);
      for (const session of [cpu, gpu]) await session.dispose();
    });

    test('a node on the CPU is an error in every run, unless it is allowed', async () => {
      const epOptions = { forceCpuNodeNames: ['add'] };
      const strict = await createSession(twoNodes(), { ep: 'webgpu', epOptions, at: 'two' });
      for (let i = 0; i < 2; i++) {
        await expect(strict.run(Float32Array.of(-3, 4), [2])).rejects.toMatchObject({
          code: 'E_BACKEND',
          message: expect.stringContaining('ran on the CPU, not on webgpu: Add "add"') as string,
          at: 'two',
          hint: expect.stringContaining('--allow-cpu-fallback') as string,
        });
      }
      await strict.dispose();
      const lenient = await createSession(twoNodes(), { ep: 'webgpu', epOptions, allowCpuFallback: true });
      expect(Array.from((await lenient.run(Float32Array.of(-3, 4), [2])).data)).toEqual([4, 5]);
      expect(lenient.placement?.nodes).toMatchObject({ cpu: 1 });
      expect(lenient.placement?.onCpu).toEqual(['Add "add"']);
      await lenient.dispose();
    });

    test('validation compares it with the CPU', async () => {
      const model = join(folder, 'mini.onnx');
      await writeFile(model, encodeModel(lowerToPacked(buildModel('binarynet-mini', { seed: 3 })).model));
      const options = { model, dataset: 'mnist', limit: 4, batchSize: 2 } as const;
      const result = await validateModel({ ...options, ep: 'webgpu', againstEp: 'cpu' });
      expect(result).toMatchObject({ images: 4, agreement: 1, ep: 'webgpu', againstEp: 'cpu', ops: 'off' });
      expect(Object.keys(result.nodes ?? {})).toEqual(['webgpu']);
      expect(result.maxLogitDifference).toBeLessThan(LOGITS_TOLERANCE);
    });

    test('turns of the benchmark run where they are told to', async () => {
      const model = { bytes: twoNodes(), feeds: { x: float32([2], [1, -1]) } };
      const [gpu, cpu] = await timeVariants(
        [
          { name: 'gpu', ops: false, provider: { ep: 'webgpu' }, ...model },
          { name: 'cpu', ops: true, provider: { ep: 'cpu' }, ...model },
        ],
        { threads: 1, rounds: 2, repetitions: 3 },
      );
      expect(gpu).toMatchObject({ name: 'gpu', runs: 6, nodes: { webgpu: 2 } });
      expect(cpu).toMatchObject({ name: 'cpu', runs: 6, nodes: null });
    });
  },
);
