/** Tries every backend and says what works here, for `bnn doctor`. */

import { loadNativeAddon } from './native/addon.ts';
import { loadTensorflow } from './tensorflow/load.ts';
import { loadWebgpu } from './webgpu/load.ts';

export interface BackendReport {
  readonly name: string;
  readonly works: boolean;
  readonly detail: string;
  /** What to do when it does not work. */
  readonly hint?: string;
}

function probeNative(): BackendReport {
  const loaded = loadNativeAddon();
  if (!loaded.ok) return { name: 'native', works: false, detail: loaded.reason, hint: loaded.hint };
  const { addon } = loaded;
  const usable = addon.isas().split(',');
  const missing = addon
    .compiledIsas()
    .split(',')
    .filter((isa) => !usable.includes(isa));
  const unusable = missing.length === 0 ? '' : `; not supported by this processor: ${missing.join(', ')}`;
  return {
    name: 'native',
    works: true,
    detail: `kernels ${addon.isa()} in use, available: ${usable.join(', ')}${unusable}`,
  };
}

async function probeTensorflow(): Promise<BackendReport> {
  const loaded = await loadTensorflow();
  if (!loaded.ok) return { name: 'tensorflow', works: false, detail: loaded.reason, hint: loaded.hint };
  return { name: 'tensorflow', works: true, detail: `${loaded.package}, ${loaded.hasGpu ? 'GPU' : 'CPU'}` };
}

async function probeWebgpu(): Promise<BackendReport> {
  const loaded = await loadWebgpu();
  if (!loaded.ok) return { name: 'webgpu', works: false, detail: loaded.reason, hint: loaded.hint };
  return {
    name: 'webgpu',
    works: true,
    detail: `${loaded.device}${loaded.isSoftware ? ' (computes on the CPU)' : ''}`,
  };
}

/** One report per backend, in the order of preference of `--backend auto`. */
export async function probeBackends(): Promise<BackendReport[]> {
  return [
    await probeTensorflow(),
    await probeWebgpu(),
    probeNative(),
    { name: 'cpu', works: true, detail: 'plain JavaScript, slow; used on request only' },
  ];
}
