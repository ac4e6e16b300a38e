import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { Builder } from '../../src/graph/builder.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { writePicture } from '../data/pictures.ts';
import { missingAddon, missingOps } from '../inference/native-parts.ts';
import { missingBrowser } from '../web/browser.ts';
import { runCli } from './spawn-cli.ts';

const missing = missingAddon ?? missingOps;
const positive = expect.toSatisfy((value) => typeof value === 'number' && value > 0) as number;
const measured = {
  medianMs: positive,
  p10Ms: positive,
  p90Ms: positive,
  runs: 3,
  createMs: positive,
  gops: positive,
};
const baseline = { ...measured, ratio: positive, ratioP10: positive, ratioP90: positive };
const memory = { peakMiB: positive, residentMiB: positive, privateMiB: positive };

/** Each case starts processes, on a machine that may be busy. */
const SLOW = { timeout: 60_000 };

describe('bnn-bench usage', SLOW, () => {
  test.each([
    [[], /Commands:\s+conv[\s\S]*model[\s\S]*train[\s\S]*data[\s\S]*web/, 5],
    [
      ['conv'],
      /--shapes[\s\S]*--layers[\s\S]*--batch[\s\S]*--threads[\s\S]*--kernel[\s\S]*General options:[\s\S]*--json/,
      3,
    ],
    [['model'], /<model>[\s\S]*--twin[\s\S]*--ep[\s\S]*--batch[\s\S]*--allow-cpu-fallback/, 2],
    [['train'], /--model[\s\S]*--profile[\s\S]*--steps[\s\S]*--estimator[\s\S]*--backend/, 2],
    [['data'], /--dataset[\s\S]*--data[\s\S]*--images/, 1],
    [['web'], /--networks[\s\S]*--shapes[\s\S]*--browser[\s\S]*--rounds[\s\S]*--loads/, 2],
  ])('%s --help has the options and examples', async (args, expected, examples) => {
    const { code, stdout, stderr } = await runCli([...args, '--help'], { program: 'bnn-bench' });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(expected);
    expect(stdout.split('Examples:')[1]?.match(/^ {2}# /gm)).toHaveLength(examples);
  });

  test.each([
    ['model without a file', ['model']],
    ['conv with a file', ['conv', 'net.onnx']],
    ['nothing', []],
    ['an unknown subject', ['nonsense']],
    ['train with a file', ['train', 'net.onnx']],
    ['train with several batch sizes', ['train', '--batch', '1,8']],
    ['a batch size that is no number', ['conv', '--batch', '1,x']],
    ['another execution provider for conv', ['conv', '--ep', 'webgpu']],
    ['layers that do not fit behind themselves', ['conv', '--shapes', '8-16@8', '--layers', '2']],
    ['an option that the execution provider does not have', ['model', 'net.onnx', '--ep-option', 'deviceId=1']],
    ['train without a known network', ['train', '--backend', 'nonsense']],
    ['options of train and data for conv', ['conv', '--estimator', 'ste', '--dataset', 'nonsense']],
    ['an option of train for model', ['model', 'net.onnx', '--steps', '3']],
    ['an option of model for web', ['web', '--twin', 'x']],
    ['a layer for web that is none', ['web', '--networks', 'none', '--shapes', 'x']],
    ['a float network for web', ['web', '--networks', 'resnet20-fp']],
    ['nothing for web', ['web', '--networks', 'none', '--shapes', 'none']],
    ['an option of conv for data', ['data', '--threads', '2']],
    ['kernels of the CPU on another provider', ['model', 'net.onnx', '--ep', 'webgpu', '--kernel', 'avx2']],
    ['memory that is not measured', ['model', 'net.onnx', '--ep', 'webgpu', '--no-memory']],
    ['a fallback from the CPU to itself', ['model', 'net.onnx', '--allow-cpu-fallback']],
    ['threads of a GPU', ['train', '--backend', 'webgpu', '--threads', '2']],
    ['an estimator of a network without signs', ['train', '--model', 'resnet20-fp', '--estimator', 'ste']],
  ])('%s', async (_, args) => {
    const { code, stderr, stdout } = await runCli(args, { program: 'bnn-bench' });
    expect(stderr).toMatch(/^error\[E_USAGE\] bnn-bench: /m);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  test.skipIf(missing === undefined)('what is not built is said', async () => {
    const { code, stderr } = await runCli(['conv'], { program: 'bnn-bench' });
    expect(stderr).toContain('E_BACKEND');
    expect(code).toBe(1);
  });
});

test('bnn-bench data: the loader beside sharp, on the clock and in processor time', SLOW, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bnn-bench-test-'));
  try {
    for (let i = 0; i < 4; i++) await writePicture(join(folder, 'val', 'a', `${i}.jpg`), 300 + i, 280);
    const few = ['--images', '4', '--rounds', '2', '--batch', '2'];
    const { code, events, stderr } = await runCli(['data', '--data', folder, ...few, '--json'], {
      program: 'bnn-bench',
    });
    expect(code, stderr).toBe(0);
    const speed = { medianMs: positive, imagesPerSecond: positive, cpuMs: positive };
    expect(events().slice(0, 2)).toEqual(
      ['train', 'evaluation'].map((transform) =>
        expect.objectContaining({
          name: `imagenet ${transform}, 4 pictures`,
          ...speed,
          baselines: { sharp: expect.objectContaining({ ...speed, ratio: positive }) },
        }),
      ),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});

describe('bnn-bench web', SLOW, () => {
  const tiny = ['web', '--networks', 'binarynet-mini', '--shapes', '8@6', '--rounds', '2', '--loads', '1'];
  const title = missingBrowser === undefined ? '' : ` (skipped: ${missingBrowser})`;

  test.skipIf(missingBrowser !== undefined)(
    `--json prints the first result, the cases, the result${title}`,
    async () => {
      const { code, events, stderr } = await runCli([...tiny, '--json'], { program: 'bnn-bench' });
      expect(code, stderr).toBe(0);
      const [first, network, layer, result] = events();
      const time = { medianMs: positive, p10Ms: positive, p90Ms: positive, runs: positive };
      const load = { ...time, downloadedBytes: positive };
      const ratios = { ratio: positive, ratioP10: positive, ratioP90: positive };
      const both = (one: object) => ({ 'onnxruntime-web-fp32': one, 'onnxruntime-web-packed': one });
      const otherLoad = { ...load, ratio: positive, bytesRatio: positive };
      expect(first).toMatchObject({
        kind: 'first-result',
        name: 'binarynet-mini',
        ...load,
        baselines: both(otherLoad),
      });
      const other = { ...time, createMs: positive, ...ratios };
      const baselines = { ...both(other), 'ours-new-arrays': other };
      expect(network).toMatchObject({ kind: 'network', name: 'binarynet-mini', ...time, baselines });
      expect(layer).toMatchObject({ kind: 'layer', name: 'conv3x3 8@6x6', ...time, baselines });
      expect(result).toMatchObject({ event: 'result', cases: 2, threads: 1, meanLayerRatios: both(positive as never) });
      // Megabytes of onnxruntime-web; ours is held to a limit by a test of its own.
      const { downloadedBytes, baselines: others } = first as {
        downloadedBytes: number;
        baselines: Record<string, typeof load>;
      };
      expect(downloadedBytes).toBeLessThan(200_000);
      expect(others['onnxruntime-web-fp32']!.downloadedBytes).toBeGreaterThan(2_000_000);
    },
  );

  test.skipIf(missingBrowser !== undefined)(`prints tables${title}`, async () => {
    const { code, stdout, stderr } = await runCli([...tiny, '--networks', 'none', '--threads', '2'], {
      program: 'bnn-bench',
    });
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^processor .*, 2 threads$/m);
    expect(stdout).toMatch(/^conv3x3 8@6x6\n.*median ms[\s\S]*^ours +[\d.]+[\s\S]*^onnxruntime-web-fp32 +[\d.]+/m);
    expect(stdout).toMatch(/^browser +Chromium [\d.]+$/m);
  });

  test('a browser that is not there is said', async () => {
    const { code, stderr } = await runCli([...tiny, '--browser', '/no/such/browser'], { program: 'bnn-bench' });
    expect(stderr).toMatch(/E_NOT_FOUND[\s\S]*\/no\/such\/browser[\s\S]*chromium/);
    expect(code).toBe(1);
    const none = await runCli(tiny, { program: 'bnn-bench', env: { PATH: '/nowhere' } });
    if (process.platform === 'linux')
      expect(none.stderr).toMatch(/there is no Chromium[\s\S]*apt-get install chromium/);
  });
});

describe.skipIf(missingAddon !== undefined)('bnn-bench train', SLOW, () => {
  test('an interpreter that cannot be used is noted, and only ours is measured', async () => {
    const size = ['--model', 'binarynet-mini', '--batch', '4', '--rounds', '1', '--steps', '1', '--threads', '1'];
    const none = join(tmpdir(), 'no-such-python');
    const { code, stdout, stderr } = await runCli(['bench', 'train', ...size], { env: { BNN_PYTHON: none } });
    expect(stderr).toContain(`note: PyTorch is not measured: ${none}: spawn ${none} ENOENT`);
    expect(stdout).toMatch(/^images\/s +[\d.,]+$/m);
    expect(code).toBe(0);
  });

  test('--json prints the case and the result; --profile a table and a trace', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bnn-bench-test-'));
    try {
      const trace = join(folder, 'trace.json');
      const size = ['--model', 'binarynet-mini', '--batch', '4', '--rounds', '2', '--steps', '1', '--threads', '1'];
      const { code, events } = await runCli(['bench', 'train', ...size, '--json', '--profile', trace], {
        env: { BNN_PYTHON: '' },
      });
      expect(code).toBe(0);
      const [profile, only, result] = events();
      expect(profile).toMatchObject({ event: 'profile', ms: positive, commands: positive });
      const speed = { imagesPerSecond: positive, ...(process.platform === 'linux' ? { peakMiB: positive } : {}) };
      expect(only).toMatchObject({
        event: 'case',
        name: 'binarynet-mini batch 4',
        estimator: 'reste',
        threads: 1,
        medianMs: positive,
        processorMs: positive,
        phasesMs: { replay: positive },
        outsideKernelsMs: positive,
        peakShare: positive,
        baselines: expect.any(Object) as object,
        ...speed,
      });
      expect(result).toMatchObject({ event: 'result', cases: 1, ...speed });
      const { traceEvents } = JSON.parse(await readFile(trace, 'utf8')) as {
        traceEvents: { name: string; dur: number }[];
      };
      expect(traceEvents.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['replay', 'binaryConv2d', 'binaryConv2dFilterGrad']),
      );
      const text = await runCli(['bench', 'train', ...size, '--profile', trace, '--estimator', 'ede']);
      expect(text.stdout).toMatch(/^estimator +ede$/m);
      expect(text.stderr).toContain('PyTorch is not measured: its networks use reste');
      expect(text.stdout).toMatch(/^binaryConv2dInputGradTable +\S+ +[\d.]+/m);
      expect(text.stdout).toMatch(/^images\/s +[\d.,]+/m);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('an unknown network is named', async () => {
    const { code, stderr } = await runCli(['bench', 'train', '--model', 'resnet21']);
    expect(stderr).toContain('error[E_NOT_FOUND]');
    expect(code).toBe(1);
  });
});

describe.skipIf(missing !== undefined)(`bnn-bench${missing ? ` (skipped: ${missing})` : ''}`, SLOW, () => {
  const fast = ['--rounds', '3', '--repetitions', '1'];

  test('conv --layers measures binary layers between binary layers', async () => {
    const args = ['bench', 'conv', '--shapes', '16@6', '--layers', '3', ...fast, '--json', '--no-memory'];
    const { code, events } = await runCli(args);
    expect(code).toBe(0);
    expect(events()[0]).toMatchObject({
      name: '3 × conv3x3 16@6x6, bits in between',
      ...measured,
      popcountShare: positive,
      baselines: { 'stock-packed': baseline, 'stock-fp32': baseline },
    });
  });

  test('conv --json prints a case for each shape, then the result', async () => {
    const args = ['bench', 'conv', '--shapes', '16@6,8-16@8k1s2', ...fast, '--json', '--no-memory'];
    const { code, events } = await runCli(args);
    expect(code).toBe(0);
    const [first, second, result] = events();
    expect(first).toMatchObject({
      event: 'case',
      name: 'conv3x3 16@6x6',
      threads: 1,
      isa: expect.stringMatching(/avx512vpopcntdq|avx2|neon|scalar/) as string,
      ...measured,
      memory: null,
      popcountLimitGops: positive,
      popcountShare: positive,
      baselines: { 'stock-packed': baseline, 'stock-fp32': baseline, 'stock-int8': baseline },
    });
    expect(second).toMatchObject({ event: 'case', name: 'conv1x1 8-16@8x8 stride 2' });
    expect(result).toMatchObject({
      event: 'result',
      cases: 2,
      meanRatios: { 'stock-packed': positive, 'stock-fp32': positive, 'stock-int8': positive },
      machine: { processor: expect.any(String) as string, versions: expect.stringContaining('onnxruntime') as string },
    });
  });

  test('model finds the twin by the name of the network', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bnn-bench-test-'));
    try {
      const path = join(folder, 'mini.onnx');
      await writeFile(path, encodeModel(lowerToPacked(buildModel('binarynet-mini', { seed: 1 })).model));
      const { code, stdout, events, stderr } = await runCli(['model', path, '--batch', '2,1', ...fast, '--json'], {
        program: 'bnn-bench',
      });
      expect(stderr).not.toContain('error');
      expect(code, stdout).toBe(0);
      const [first, second] = events();
      expect(second).toMatchObject({ event: 'case', name: 'binarynet-mini' });
      expect(first).toMatchObject({
        event: 'case',
        name: 'binarynet-mini batch 2',
        ...measured,
        baselines: { 'stock-packed': baseline, 'stock-fp32': baseline, 'stock-int8': baseline },
        ...(process.platform === 'linux' ? { memory } : {}),
      });
      const text = await runCli(['model', path, '--twin', 'resnet20-fp', ...fast, '--no-memory'], {
        program: 'bnn-bench',
      });
      expect(text.stdout).toMatch(/processor +\S/);
      expect(text.stdout).toMatch(/^ours +[\d.]+ +[\d.]+ - [\d.]+/m);
      expect(text.stdout).toMatch(/^stock-int8 +[\d.]+ +[\d.]+ - [\d.]+/m);
      for (const [twin, hint] of [
        ['binarynet-mini', '--twin binarynet-mini-fp'],
        [path, 'an ONNX file of float layers'],
      ] as const) {
        const binary = await runCli(['model', path, '--twin', twin], { program: 'bnn-bench' });
        expect(binary.stderr).toContain('the twin has binary layers itself');
        expect(binary.stderr).toContain(hint);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('model says why there is no row in 8-bit integers', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bnn-bench-test-'));
    try {
      const [path, twin] = [join(folder, 'mini.onnx'), join(folder, 'twin.onnx')];
      await writeFile(path, encodeModel(lowerToPacked(buildModel('binarynet-mini', { seed: 1 })).model));
      const builder = new Builder('pool');
      const y = builder.op('GlobalAveragePool', [builder.input('input', 'float32', ['N', 1, 28, 28])]);
      builder.output(y, 'float32', ['N', 1, 1, 1]);
      await writeFile(twin, encodeModel(builder.model));
      const { code, stdout, stderr } = await runCli(['model', path, '--twin', twin, ...fast, '--no-memory'], {
        program: 'bnn-bench',
      });
      expect(stderr).toContain(
        'note: the full-precision twin is not measured in 8-bit integers: the model has no conv',
      );
      expect(stdout).toMatch(/^stock-fp32 +[\d.]+/m);
      expect(stdout).not.toContain('stock-int8');
      expect(code).toBe(0);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('a model without binary layers is refused', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bnn-bench-test-'));
    try {
      const path = join(folder, 'float.onnx');
      await writeFile(path, encodeModel(buildModel('binarynet-mini-fp', { seed: 1 })));
      const { code, stderr } = await runCli(['model', path], { program: 'bnn-bench' });
      expect(stderr).toContain('error[E_UNSUPPORTED] bnn-bench: the model has no binary layers');
      expect(code).toBe(1);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('a row of kernels that is not there is refused', async () => {
    const { code, stderr } = await runCli(['conv', '--kernel', 'mmx'], { program: 'bnn-bench' });
    expect(stderr).toMatch(/there are no kernels for "mmx" here: .*the instruction sets of this processor are scalar/);
    expect(code).toBe(2);
  });
});
