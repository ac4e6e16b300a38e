import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.ts';
import { BACKEND_NAMES, BACKENDS, canBackend, namesWith } from '../../src/backends/backends.ts';
import { engineMemory } from '../../src/backends/engine-memory.ts';
import { selectBackend } from '../../src/backends/select-backend.ts';
import { found, obstacle } from '../../src/core/found.ts';
import { KERNELS, type KernelName, kernelSet } from '../../src/kernels/contract.ts';
import { registerKernels, run } from '../../src/kernels/run.ts';
import { parseRecipe } from '../../src/training/recipes/parse-recipe.ts';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));

afterAll(() => tf.setBackend('cpu'));

/** A target for running models, as one would be added: a way to load it, and a row. */
function toy(name: string, changes: Partial<Backend> & { readonly isGpu?: boolean } = {}): Backend & { calls: number } {
  const { isGpu = false, ...rest } = changes;
  const left = Object.keys(KERNELS).filter((kernel) => kernel !== 'BnnSign') as Exclude<KernelName, 'BnnSign'>[];
  const row = {
    ...{ name, title: name, isAutomatic: true, calls: 0 },
    capabilities: {
      ...{ gpu: isGpu, threads: true, kernelChoice: false },
      ...{ explicitPadding: true, synchronous: true, deviceMemory: false, keepsAll: false, bf16: false },
    },
    load: () => {
      const kernels = kernelSet<MathBackendCPU>()(
        {
          BnnSign: (backend, { x }) => {
            row.calls++;
            const values = (backend.data.get(x.dataId).values as Float32Array).map((v) => (v >= 0 ? 1 : -1));
            return backend.makeTensorInfo(x.shape, 'float32', values);
          },
        },
        Object.fromEntries(left.map((kernel) => [kernel, 'a toy'])) as Record<Exclude<KernelName, 'BnnSign'>, string>,
      );
      if (tf.findBackendFactory(name) === null) {
        tf.copyRegisteredKernels('cpu', name);
        registerKernels(name, kernels);
        tf.registerBackend(name, () => Object.assign(new MathBackendCPU(), { firstUse: false }), 0);
      }
      const start = (threads: number) => ({ description: `a ${name}`, threads, isa: null, memory: engineMemory });
      return Promise.resolve(found({ isGpu, device: 'a toy', detail: 'a toy', kernels, start }));
    },
    ...rest,
  };
  return row;
}

const broken = (name: string, gpu: boolean): Backend => ({
  ...toy(name, { isGpu: gpu }),
  load: () => Promise.resolve(obstacle(`${name} is not installed`, `install ${name}`)),
});

describe('a backend is a row', () => {
  it('that is selected by its name and runs its own kernels, and compositions for the rest', async () => {
    const row = toy('toy');
    const selected = await selectBackend('toy', { threads: 3 }, [...BACKENDS, row]);
    expect(selected).toMatchObject({ name: 'toy', description: 'a toy', threads: 3, isGpu: false });
    expect(tf.getBackend()).toBe('toy');
    const x = tf.tensor1d([-2, 0, 1]);
    expect(Array.from(run('BnnSign', { x }).dataSync())).toEqual([-1, 1, 1]);
    expect(row.calls).toBe(1);
    expect(run('BnnMeanMagnitude', { x }).dataSync()[0]).toBe(1);
  });

  it('that auto takes before others where it has a GPU', async () => {
    const table = [toy('plain'), broken('torn', true), toy('fast', { isGpu: true })];
    const { name, reason } = await selectBackend('auto', { threads: 1 }, table);
    expect({ name, reason }).toEqual({ name: 'fast', reason: 'fast found a GPU' });
  });

  it('that auto takes on a processor only where it may, and says what the others lack', async () => {
    const slow = toy('slow', { isAutomatic: false });
    const table = [slow, broken('torn', true), broken('lost', false), toy('plain')];
    const { name, reason, description } = await selectBackend('auto', { threads: 1 }, table);
    expect(name).toBe('plain');
    expect(reason).toBe(
      'no GPU found (torn: torn is not installed), and torn is not installed, and lost is not installed',
    );
    expect(description).toBe('a plain (no GPU found, and torn is not installed, and lost is not installed)');
    await expect(selectBackend('auto', { threads: 1 }, [slow, broken('lost', false)])).rejects.toMatchObject({
      code: 'E_BACKEND',
      message: expect.stringContaining('lost is not installed'),
      hint: 'install lost; or --backend cpu, which is slow',
    });
  });
});

describe('the table of backends', () => {
  it('is what recipes take', () => {
    for (const backend of BACKEND_NAMES) expect(parseRecipe([{ backend }]).backend).toBe(backend);
  });

  it('answers for auto what one of those that it may choose answers', () => {
    expect(namesWith('threads')).toEqual(['native', 'tensorflow', 'wasm']);
    expect(canBackend('auto', 'threads')).toBe(true);
    expect(canBackend('webgpu', 'threads')).toBe(false);
    expect(canBackend('nonsense', 'threads')).toBe(false);
  });

  it('is where names are told apart: nothing else compares them', () => {
    const names = BACKENDS.map(({ name }) => name).filter((name) => name !== 'cpu' && name !== 'wasm');
    const comparison = new RegExp(
      `[!=]==\\s*'(${names.join('|')})'|'(${names.join('|')})'\\s*[!=]==|case '(${names.join('|')})'`,
    );
    const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
    const wrong = files.filter((file) => comparison.test(readFileSync(join(SRC, file), 'utf8')));
    expect(wrong).toEqual([]);
    const inTraining = files.filter((file) => file.startsWith('training'));
    // Sessions have an engine of this name too, and providers that of the other.
    expect(inTraining.filter((file) => /[!=]==\s*'(cpu|wasm)'/.test(readFileSync(join(SRC, file), 'utf8')))).toEqual(
      [],
    );
  });
});
