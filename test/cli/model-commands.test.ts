import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodePreprocessing, PREPROCESSING_KEY } from '../../src/core/pictures/preprocessing.ts';
import { writeModel } from '../../src/onnx/model-io.ts';
import { addBnnFunctions } from '../../src/operators/registry.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { runCli } from './spawn-cli.ts';

const SLOW = 30_000;
const DIGITS = [...'0123456789'];

let folder: string;
let latent: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-cli-'));
  latent = join(folder, 'latent.onnx');
  const model = buildModel('binarynet-mini', { seed: 1 });
  const preprocessing = { dataset: 'mnist', mean: [0.1307], std: [0.3081], classes: DIGITS };
  model.metadata.set(PREPROCESSING_KEY, encodePreprocessing(preprocessing));
  addBnnFunctions(model);
  await writeModel(latent, model);
});
afterAll(() => rm(folder, { recursive: true }));

test(
  'export, inspect, validate',
  async () => {
    const packed = join(folder, 'out', 'packed.onnx');
    const exported = await runCli(['export', latent, '-o', packed, '--verify', '--json']);
    expect({ code: exported.code, stderr: exported.stderr }).toEqual({ code: 0, stderr: '' });
    const bytes = (await stat(packed)).size;
    expect(exported.events()).toEqual([
      expect.objectContaining({
        event: 'result',
        version: 1,
        file: packed,
        bytes,
        binaryLayers: 2,
        weightOnlyLayers: 0,
        floatLayers: 2,
        float: ['conv1', 'fc'],
        float32Bytes: (await stat(latent)).size,
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
        verification: expect.objectContaining({ passed: true, agreement: 1 }) as object,
      }),
    ]);
    const again = await runCli(['export', latent, '-o', join(folder, 'explained.onnx'), '--explain']);
    expect(again.stdout).toMatch(/conv1 +Conv +float +Conv +3\.20 kB( +3\.20 kB){4} +binarize-conv: /);
    expect(again.stdout).toMatch(/layers +2 binary, 2 in float: conv1, fc/);
    expect(await readFile(join(folder, 'explained.onnx'))).toEqual(await readFile(packed));

    const [table, inspected, validated] = await Promise.all([
      runCli(['inspect', packed]),
      runCli(['inspect', packed, '--json']),
      runCli([
        'validate',
        packed,
        '--dataset',
        'mnist',
        '--against',
        latent,
        '--limit',
        '200',
        '--ops',
        'off',
        '--json',
      ]),
    ]);
    // 32·64·9 and 64·64·9 binary weights; 7×7 positions each.
    expect(table.stdout).toMatch(
      /^conv2 +bnn\.BinaryConv\w* +\[N, 32, 14, 14\] -> \[N, 64, 7, 7\] +1 +18,432 +128 +2\.82 +903,168 +0$/m,
    );
    expect(table.stdout).toMatch(/^total +55,296 +/m);
    expect(inspected.events()[0]).toMatchObject({
      event: 'result',
      file: packed,
      fileBytes: bytes,
      form: 'packed',
      oneBitParameters: 32 * 64 * 9 + 64 * 64 * 9,
      binaryMacs: (32 * 64 * 9 + 64 * 64 * 9) * 49,
      floatMacs: 25 * 32 * 14 * 14 + 576 * 10,
    });
    expect(validated.code).toBe(0);
    expect(validated.events()).toEqual([
      expect.objectContaining({
        event: 'result',
        images: 200,
        agreement: 1,
        ep: 'cpu',
        ops: 'off',
        top1: expect.any(Number) as number,
        top5: expect.any(Number) as number,
        loss: expect.any(Number) as number,
        latencyMs: expect.any(Number) as number,
        imagesPerSecond: expect.any(Number) as number,
      }),
    ]);
  },
  SLOW,
);

test(
  'inspect shows the latent form and the graph',
  async () => {
    const [summary, graph] = await Promise.all([
      runCli(['inspect', latent, '--json']),
      runCli(['inspect', latent, '--graph']),
    ]);
    expect(summary.events()[0]).toMatchObject({ form: 'latent', oneBitParameters: 55_296 });
    expect(graph.stdout).toMatch(/%conv2 : float32\[N, 64, 7, 7\] = Conv\(%conv2\.input_sign, %conv2\.weight_sign\)/);
  },
  SLOW,
);

test(
  'layers can be kept in float',
  async () => {
    const output = join(folder, 'kept.onnx');
    const result = await runCli(['export', latent, '-o', output, '--json', '--keep-float', 'conv2']);
    expect(result.events()[0]).toMatchObject({ binaryLayers: 1, floatLayers: 3, float: ['conv1', 'conv2', 'fc'] });
  },
  SLOW,
);

describe('bad input', () => {
  const commands = (path: string): string[][] => [
    ['export', path, '-o', join(folder, 'never.onnx')],
    ['inspect', path],
    ['validate', path, '--dataset', 'mnist'],
  ];

  test(
    'truncated and random bytes, and a file that is not there',
    async () => {
      const whole = await readFile(latent);
      const random = Uint8Array.from({ length: 5000 }, (_, i) => (Math.imul(i, 2654435761) >>> 13) & 255);
      for (const [name, bytes] of [
        ['truncated', whole.subarray(0, whole.length >> 1)],
        ['random', random],
        ['missing', null],
      ] as const) {
        const path = join(folder, `${name}.onnx`);
        if (bytes !== null) await writeFile(path, bytes);
        for (const { code, stdout, stderr } of await Promise.all(commands(path).map((args) => runCli(args)))) {
          expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
          expect(stderr).toMatch(
            new RegExp(
              `^error\\[${bytes === null ? 'E_NOT_FOUND' : 'E_FORMAT'}\\] bnn[ -]\\w+: .+\n  at ${path}\n  hint: `,
            ),
          );
        }
      }
      expect(await readdir(folder)).not.toContain('never.onnx');
    },
    SLOW,
  );

  test(
    'pictures of another size, and a missing data folder',
    async () => {
      const wide = join(folder, 'wide.onnx');
      await writeModel(wide, buildModel('binarynet-mini-fp', { seed: 1, imageSize: 32 }));
      const missing = join(folder, 'no-data');
      const [size, data] = await Promise.all([
        runCli(['validate', wide, '--dataset', 'mnist']),
        runCli(['validate', latent, '--dataset', 'mnist', '--data', missing]),
      ]);
      expect(size.code).toBe(1);
      expect(size.stderr).toMatch(/^error\[E_SHAPE\] bnn validate: .*1×32×32.*1×28×28\n {2}at .*\n {2}hint: /);
      expect(data.code).toBe(1);
      expect(data.stderr).toMatch(/^error\[E_NOT_FOUND\] bnn validate: /);
      expect(data.stderr).toContain(missing);
    },
    SLOW,
  );

  test(
    'an output that cannot be written leaves nothing behind',
    async () => {
      const file = join(folder, 'a-file');
      await writeFile(file, 'x');
      const closed = join(folder, 'closed');
      await mkdir(closed);
      await chmod(closed, 0o500);
      const before = await readdir(folder);
      const full = await runCli(['export', latent, '-o', join(folder, 'full.onnx')], { largestFileBytes: 8192 });
      expect(full).toMatchObject({ code: 1, stdout: '' });
      expect(full.stderr).toMatch(/^error\[E_IO\] bnn export: cannot write: .+\n {2}at .*full\.onnx/);
      // Permissions do not stop root.
      const isRoot = process.getuid?.() === 0;
      const outputs = [join(file, 'x.onnx'), closed, '/dev/full', ...(isRoot ? [] : [join(closed, 'x.onnx')])];
      for (const output of outputs) {
        const { code, stdout, stderr } = await runCli(['export', latent, '-o', output]);
        expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
        expect(stderr).toMatch(/^error\[E_(IO|NOT_FOUND)\] bnn export: .+\n {2}at /);
      }
      expect(await readdir(folder)).toEqual(before);
      expect(await readdir(closed)).toEqual([]);
      expect((await stat('/dev/full')).isCharacterDevice()).toBe(true);
      expect(await readFile(file, 'utf8')).toBe('x');
    },
    SLOW,
  );

  test(
    'a source that is packed already, and an output that is the source',
    async () => {
      const packed = join(folder, 'twice.onnx');
      await runCli(['export', latent, '-o', packed]);
      const [twice, itself] = await Promise.all([
        runCli(['export', packed, '-o', join(folder, 'never.onnx')]),
        runCli(['export', latent, '-o', latent]),
      ]);
      expect(twice.stderr).toMatch(/^error\[E_UNSUPPORTED\] bnn export: the model is in packed form already/);
      expect(itself).toMatchObject({ code: 2 });
    },
    SLOW,
  );
});
