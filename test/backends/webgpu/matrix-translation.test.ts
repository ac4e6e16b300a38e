/**
 * The shaders with subgroup matrices, as Dawn's compiler reads them: syntax, types and what must be uniform. Its null device has the feature
 * and computes nothing.
 */

import * as tf from '@tensorflow/tfjs-core';
import { expect, it, vi } from 'vitest';
import { selectBackend } from '../../../src/backends/select-backend.ts';
import type { GpuAdapter } from '../../../src/backends/webgpu/device.ts';
import { INTRINSICS } from '../../../src/backends/webgpu/kernels/matrix-ops.ts';
import { findMatrixUnits, MATRIX_FEATURES, setMatrixUnits } from '../../../src/backends/webgpu/matrix-units.ts';
import { WEBGPU_PACKAGES } from '../../../src/backends/webgpu/packages.ts';
import { importPeer } from '../../../src/core/machine/peers-io.ts';
import { run } from '../../../src/kernels/run.ts';
import { TrainingBench } from '../../../src/training/learning/bench-training.ts';
import { describeFake, device, loaded } from './fake.ts';

interface Dawn {
  create(flags: string[]): { requestAdapter(): Promise<GpuAdapter | null> };
}
interface Compiler {
  readonly instance: object;
  readonly device: {
    createShaderModule(descriptor: { readonly code: string }): {
      getCompilationInfo(): Promise<{ readonly messages: readonly { readonly message: string }[] }>;
    };
    pushErrorScope(filter: 'validation'): void;
    popErrorScope(): Promise<object | null>;
  };
}

/** Held, since Dawn stops when it is collected. */
let compiler: Promise<Compiler> | undefined;

async function openCompiler(): Promise<Compiler> {
  const dawn = (await importPeer('webgpu', WEBGPU_PACKAGES[0])) as Dawn;
  const instance = dawn.create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
  const adapter = await instance.requestAdapter();
  if (adapter === null) throw new Error('Dawn has no null device');
  const device = (await adapter.requestDevice({ requiredFeatures: MATRIX_FEATURES })) as unknown as Compiler['device'];
  return { instance, device };
}

async function complaintsOf(code: string): Promise<string[]> {
  compiler ??= openCompiler();
  const { device } = await compiler;
  device.pushErrorScope('validation');
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
  await device.popErrorScope();
  return messages.map(({ message }) => message);
}

/** Shaders of both gradients of a binary layer. */
function shadersOf(stride: number): string[] {
  const modules = vi.spyOn(device, 'createShaderModule');
  const filter = run('BnnSign', { x: tf.ones([3, 3, 64, 64]) });
  const x = tf.ones([2, 8, 8, 64]);
  const attrs = {
    ...{ strides: [stride, stride], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1], dimRoundingMode: undefined },
    ...{ filterIsSigns: true, estimator: 'ste', clip: 1, filterShape: [3, 3, 64, 64] },
  } as never;
  const dy = run('BnnBinaryConv', { x, filter }, attrs);
  run('BnnBinaryConvInputGrad', { dy, filter, x }, attrs);
  run('BnnBinaryConvFilterGrad', { x, dy }, attrs);
  const codes = modules.mock.calls.map(([{ code }]) => code);
  modules.mockRestore();
  return codes.filter((code) => code.includes('matrix units'));
}

describeFake('shaders with subgroup matrices', () => {
  // Every side another size where that can be, so that none stands for another.
  it.each([
    { m: 16, n: 16, k: 16, subgroup: 32, workgroupBytes: 49152 },
    { m: 16, n: 16, k: 16, subgroup: 32, workgroupBytes: 16384 },
    { m: 8, n: 16, k: 16, subgroup: 32, workgroupBytes: 32768 },
    { m: 16, n: 8, k: 8, subgroup: 64, workgroupBytes: 32768 },
  ])('are accepted: %o', async (sizes) => {
    if (!loaded.ok) return;
    await tf.setBackend('webgpu');
    setMatrixUnits(loaded.value.backend, { ...sizes, ops: INTRINSICS });
    const codes = [1, 2].flatMap(shadersOf);
    setMatrixUnits(loaded.value.backend, null);
    expect(codes.map((code) => code.split('\n')[0])).toEqual([
      '// input gradient, matrix units',
      '// filter gradient, matrix units',
      '// input gradient, matrix units',
      '// filter gradient, matrix units',
    ]);
    for (const code of codes) expect(await complaintsOf(code)).toEqual([]);
  });

  it('are part of a recorded step', async () => {
    if (!loaded.ok) return;
    const { backend } = loaded.value;
    setMatrixUnits(backend, { m: 16, n: 16, k: 16, subgroup: 32, workgroupBytes: 49152, ops: INTRINSICS });
    const bench = new TrainingBench({
      ...{ model: 'resnet20', batch: 8, estimator: 'reste' },
      backend: await selectBackend('webgpu'),
    });
    try {
      await bench.round(2);
      const labels = (await bench.profile())?.map(({ label }) => label) ?? [];
      const countOf = (label: string) => labels.filter((each) => each === label).length;
      // Of 18 binary layers the 12 with 32 channels and more; the first of these has 16 before it.
      expect([countOf('input gradient, matrix units'), countOf('filter gradient, matrix units')]).toEqual([11, 12]);
      expect(countOf('largest magnitudes')).toBe(12);
    } finally {
      await bench.close();
      setMatrixUnits(backend, null);
    }
  });

  it('are read by a compiler that refuses wrong ones', async () => {
    const wrong = INTRINSICS.declarations({ m: 8, n: 8, k: 8, subgroup: 32 }, 24).replace('<f16, 8, 8>', '<f16, 8>');
    expect(await complaintsOf(`${INTRINSICS.directives}\n${wrong}`)).toHaveLength(1);
  });
});

it.each<[string, Partial<GpuAdapter>, string]>([
  [
    'no feature',
    { features: new Set(['shader-f16']) },
    'the GPU or its driver does not offer subgroups, chromium-experimental-subgroup-matrix',
  ],
  [
    'threads by 8 to 32',
    { info: { subgroupMinSize: 8, subgroupMaxSize: 32 } },
    'threads of the GPU run in step by 8 to 32, expected 32 or 64',
  ],
  [
    'bytes alone',
    { info: { ...{ subgroupMinSize: 32, subgroupMaxSize: 32 }, subgroupMatrixConfigs: [config('u8', 'u32', 16)] } },
    'it multiplies 16×16×16 of u8 to u32, expected 8 or 16 on a side, of f16 to f32',
  ],
])('what a GPU lacks is named: %s', (_, given, reason) => {
  expect(findMatrixUnits({ ...fitting(), ...given })).toEqual({
    ok: false,
    reason: `BNN_TENSOR_CORES is set, but ${reason}`,
    hint: 'unset BNN_TENSOR_CORES',
  });
});

it('the largest matrices that fit are taken', () => {
  const units = findMatrixUnits(fitting());
  expect(units).toMatchObject({ ok: true, value: { m: 16, n: 16, k: 16, subgroup: 32, workgroupBytes: 49152 } });
});

function config(componentType: string, resultComponentType: string, side: number) {
  return { componentType, resultComponentType, M: side, N: side, K: side };
}

function fitting(): GpuAdapter {
  const subgroupMatrixConfigs = [config('f16', 'f16', 16), config('f16', 'f32', 8), config('f16', 'f32', 16)];
  return {
    features: new Set(MATRIX_FEATURES),
    limits: { maxComputeWorkgroupStorageSize: 49152 },
    info: { subgroupMinSize: 32, subgroupMaxSize: 32, subgroupMatrixConfigs },
    requestDevice: () => Promise.reject(new Error('nobody asks')),
  };
}
