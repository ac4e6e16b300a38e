/** The backends, and nothing that loads TensorFlow.js: help and parsing need not wait for it. */

import { found } from '../core/found.ts';
import type { Backend } from './backend.ts';

/**
 * In the order in which `auto` chooses: those with a GPU first, then those that are fast on a processor. Through tfjs's binding of TensorFlow
 * a step of ResNet-20 is 2,315 calls, each through JavaScript and back; webgpu gives the GPU a recorded step at once.
 */
export const BACKENDS = [
  {
    name: 'native',
    title: 'native',
    capabilities: {
      ...{ gpu: false, threads: true, kernelChoice: true },
      ...{ explicitPadding: true, synchronous: true, deviceMemory: false, keepsAll: false, bf16: true },
    },
    isAutomatic: true,
    load: async () => (await import('./native/open.ts')).openNative(),
    inspect: async () => (await import('./native/addon.ts')).inspectNative(),
    setup: {
      options: [],
      run: async (_, onStage) => (await import('./native/setup-io.ts')).setupNative(onStage),
    },
  },
  {
    name: 'webgpu',
    title: 'WebGPU',
    capabilities: {
      ...{ gpu: true, threads: false, kernelChoice: false },
      ...{ explicitPadding: true, synchronous: false, deviceMemory: true, keepsAll: true, bf16: false },
    },
    isAutomatic: false,
    load: async () => (await import('./webgpu/open.ts')).openWebgpu(),
    inspect: async () => (await import('./webgpu/packages.ts')).inspectWebgpu(),
    setup: {
      options: [],
      run: async (_, onStage) => (await import('./webgpu/setup-io.ts')).setupWebgpu(onStage),
    },
  },
  {
    name: 'tensorflow',
    title: 'TensorFlow',
    capabilities: {
      ...{ gpu: true, threads: true, kernelChoice: false },
      ...{ explicitPadding: false, synchronous: false, deviceMemory: false, keepsAll: false, bf16: false },
    },
    isAutomatic: true,
    load: async (threads) => (await import('./tensorflow/open.ts')).openTensorflow(threads),
    inspect: async () => (await import('./tensorflow/packages.ts')).inspectTensorflow(),
    setup: {
      options: ['python', 'libtensorflow'],
      run: async (options, onStage) => (await import('./tensorflow/setup-io.ts')).setupTensorflow(options, onStage),
    },
  },
  {
    name: 'wasm',
    title: 'WebAssembly',
    capabilities: {
      ...{ gpu: false, threads: true, kernelChoice: false },
      ...{ explicitPadding: true, synchronous: true, deviceMemory: false, keepsAll: false, bf16: true },
    },
    isAutomatic: true,
    load: async () => (await import('./wasm/open.ts')).openWasm(),
    inspect: async () => (await import('./wasm/start-kernels.ts')).inspectWasm(),
  },
  {
    name: 'cpu',
    title: 'cpu',
    capabilities: {
      ...{ gpu: false, threads: false, kernelChoice: false },
      ...{ explicitPadding: true, synchronous: true, deviceMemory: false, keepsAll: false, bf16: false },
    },
    // Too slow to be chosen for somebody.
    isAutomatic: false,
    load: async () => (await import('./cpu/open.ts')).openCpu(),
    inspect: async () => found((await import('./cpu/detail.ts')).CPU_DETAIL),
  },
] as const satisfies readonly Backend[];

export type BackendName = 'auto' | (typeof BACKENDS)[number]['name'];

/** What selects a backend. */
export const BACKEND_NAMES: readonly BackendName[] = ['auto', ...BACKENDS.map(({ name }) => name)];

/** Names of the backends that can do something. */
export function namesWith(capability: keyof Backend['capabilities']): BackendName[] {
  return BACKENDS.filter(({ capabilities }) => capabilities[capability]).map(({ name }) => name);
}

/** Whether the backend of a name can do something, or for `auto`, which may become any of them, whether one that it chooses can. */
export function canBackend(name: string, capability: keyof Backend['capabilities']): boolean {
  const candidates = BACKENDS.filter((row) =>
    name === 'auto' ? row.isAutomatic || row.capabilities.gpu : row.name === name,
  );
  return candidates.some(({ capabilities }) => capabilities[capability]);
}
