import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { cudaReleases, linkedLibraries, vulkanObstacle } from '../../src/inference/driver-files-io.ts';
import { assertPlacement, parsePlacement } from '../../src/inference/placement.ts';
import { EXECUTION_PROVIDERS, forbidTf32, inspectProvider, precisionNote } from '../../src/inference/provider.ts';
import { parseProviderOptions } from '../../src/inference/provider-options.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-provider-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('inspectProvider', () => {
  test.each(EXECUTION_PROVIDERS)('%s works, or says what is missing and what to do', (name) => {
    const { works, detail, hint } = inspectProvider(name);
    expect(detail).not.toBe('');
    if (!works) expect(hint).toMatch(/bnn setup cuda|install|use one of --ep cpu|unset/);
    const offered = ort.listSupportedBackends().some((backend) => backend.name === name);
    if (!offered)
      expect({ works, detail }).toEqual({ works: false, detail: expect.stringContaining('only') as string });
  });
});

describe.skipIf(process.platform !== 'linux')('a Vulkan driver that the environment names', () => {
  const { VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: icd } = process.env;
  afterEach(() => {
    for (const [name, value] of Object.entries({ VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: icd })) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  });

  test('must be there', async () => {
    const path = join(folder, 'driver.json');
    process.env['VK_DRIVER_FILES'] = path;
    expect(vulkanObstacle()?.reason).toMatch(/libvulkan|VK_DRIVER_FILES names .*driver\.json/);
    await writeFile(path, '{}');
    expect(vulkanObstacle()?.reason ?? 'libvulkan').toMatch(/libvulkan/);
  });
});

const hasGpu = existsSync('/dev/dri') || existsSync('/dev/nvidiactl') || existsSync('/dev/dxg');
describe.skipIf(process.platform !== 'linux' || hasGpu)('a machine without a GPU, with a driver for the CPU', () => {
  const NAMES = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'XDG_DATA_DIRS'] as const;
  const before = NAMES.map((name) => process.env[name]);
  afterEach(() => {
    for (const [i, name] of NAMES.entries()) {
      if (before[i] === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = before[i];
    }
  });

  test('gives --ep webgpu nothing, unless the driver is named', async () => {
    for (const name of NAMES) Reflect.deleteProperty(process.env, name);
    process.env['XDG_DATA_DIRS'] = folder;
    await mkdir(join(folder, 'vulkan', 'icd.d'), { recursive: true });
    const manifest = join(folder, 'vulkan', 'icd.d', 'lvp_icd.json');
    await writeFile(manifest, '{}');
    expect(vulkanObstacle()).toMatchObject({
      reason: expect.stringMatching(/libvulkan|Vulkan would compute on the CPU/) as string,
      hint: expect.stringMatching(/libvulkan|VK_DRIVER_FILES=/) as string,
    });
    process.env['VK_DRIVER_FILES'] = manifest;
    expect(vulkanObstacle()?.reason ?? 'libvulkan').toMatch(/libvulkan/);
  });
});

describe('what the CUDA files want', () => {
  test('is read from the libraries that they link to', () => {
    const linked = (names: string[]) => names.map((name) => ({ name, isThere: false }));
    const of = (...names: string[]) => cudaReleases(linked(['libc.so.6', ...names]));
    expect(of('libcublasLt.so.13', 'libcublas.so.13', 'libcudnn.so.9')).toBe('CUDA 13 and cuDNN 9');
    expect(of('libcudart.so.12', 'libcudnn.so.9', 'libnvinfer.so.10')).toBe('CUDA 12, cuDNN 9 and TensorRT 10');
    expect(of()).toBe('CUDA and cuDNN');
  });

  test.skipIf(process.platform !== 'linux')('libraries of a program are those that the loader finds', () => {
    const linked = linkedLibraries(process.execPath);
    expect(linked).toContainEqual({ name: 'libc.so.6', isThere: true });
    expect(linkedLibraries('/none')).toEqual([]);
  });
});

describe('TF32', () => {
  const { NVIDIA_TF32_OVERRIDE: before } = process.env;
  afterEach(() => {
    if (before === undefined) Reflect.deleteProperty(process.env, 'NVIDIA_TF32_OVERRIDE');
    else process.env['NVIDIA_TF32_OVERRIDE'] = before;
  });

  test('is off with cuda unless the user wants it, and that is said', () => {
    Reflect.deleteProperty(process.env, 'NVIDIA_TF32_OVERRIDE');
    forbidTf32('cpu');
    expect(process.env['NVIDIA_TF32_OVERRIDE']).toBeUndefined();
    expect(precisionNote('webgpu')).toBeUndefined();
    forbidTf32('cuda');
    expect(process.env['NVIDIA_TF32_OVERRIDE']).toBe('0');
    expect(precisionNote('cuda')).toContain('without TF32 (NVIDIA_TF32_OVERRIDE=0)');
    process.env['NVIDIA_TF32_OVERRIDE'] = '1';
    forbidTf32('tensorrt');
    expect(precisionNote('tensorrt')).toContain('may compute with TF32, which flips signs (NVIDIA_TF32_OVERRIDE=1)');
  });
});

describe('parseProviderOptions', () => {
  test('reads what a provider has', () => {
    expect(parseProviderOptions('cuda', ['deviceId=1'])).toEqual({ deviceId: 1 });
    const texts = ['preferredLayout=NHWC', 'enableRobustness=true', 'forceCpuNodeNames=a,b'];
    const expected = { preferredLayout: 'NHWC', enableRobustness: true, forceCpuNodeNames: ['a', 'b'] };
    expect(parseProviderOptions('webgpu', texts)).toEqual(expected);
    expect(parseProviderOptions('cpu', [])).toEqual({});
  });

  test.each([
    ['cuda', 'device=1', 'has no option "device"', 'it has deviceId'],
    ['cuda', 'constructor=1', 'has no option "constructor"', 'it has deviceId'],
    ['cpu', 'deviceId=1', 'has no option "deviceId"', 'it has none'],
    ['cuda', 'deviceId=-1', 'expected deviceId=a whole number', undefined],
    ['cuda', 'deviceId', 'expected deviceId=a whole number', undefined],
    ['webgpu', 'preferredLayout=nhwc', 'expected preferredLayout=NCHW | NHWC', undefined],
    ['webgpu', 'enableRobustness=yes', 'expected enableRobustness=true or false', undefined],
    ['webgpu', 'forceCpuNodeNames=', 'expected forceCpuNodeNames=names', undefined],
  ] as const)('--ep %s --ep-option %s is refused', (ep, text, message, hint) => {
    expect(() => parseProviderOptions(ep, [text])).toThrow(
      expect.objectContaining({ code: 'E_USAGE', message: expect.stringContaining(message) as string, hint }),
    );
  });
});

describe('placement', () => {
  const event = (name: string, op: string, provider: string, index: number) => ({
    cat: 'Node',
    name: `${name}_kernel_time`,
    args: { op_name: op, provider: `${provider}ExecutionProvider`, node_index: String(index) },
  });
  const profile = JSON.stringify([
    { cat: 'Session', name: 'model_run', args: {} },
    { cat: 'Node', name: 'conv_fence_before', args: { op_name: 'Conv' } },
    event('conv', 'Conv', 'WebGpu', 1),
    event('conv', 'Conv', 'WebGpu', 1),
    event('sort', 'TopK', 'CPU', 2),
    event('engine', 'TRTKernel_graph_1', 'Tensorrt', 3),
    event('own', 'Conv', 'CUDA', 4),
    event('other', 'Conv', 'Dml', 5),
    event('last', 'Conv', 'CoreML', 6),
    event('x', 'Conv', 'Qnn', 7),
  ]);

  test('counts each node once, by the names that --ep has', () => {
    expect(parsePlacement(profile)).toEqual({
      nodes: { webgpu: 1, cpu: 1, tensorrt: 1, cuda: 1, dml: 1, coreml: 1, QnnExecutionProvider: 1 },
      onCpu: ['TopK "sort"'],
    });
  });

  test('a node on the CPU is an error that names it; so is knowing nothing', () => {
    const refused = (message: string) => expect.objectContaining({ code: 'E_BACKEND', message, at: 'net' }) as Error;
    expect(() => assertPlacement(parsePlacement(profile), 'webgpu', 'net')).toThrow(
      refused('1 of 7 nodes ran on the CPU, not on webgpu: TopK "sort"'),
    );
    expect(() => assertPlacement({ nodes: {}, onCpu: [] }, 'cuda', 'net')).toThrow(
      refused('onnxruntime does not say whether the nodes ran on cuda'),
    );
    expect(() => assertPlacement({ nodes: { tensorrt: 1, cuda: 2 }, onCpu: [] }, 'tensorrt', 'net')).not.toThrow();
  });
});
