/** Loads tfjs's WebGPU backend on the `webgpu` package (Dawn), when both are installed, and puts our kernels on it. */

import * as tf from '@tensorflow/tfjs-core';
import { type Found, found, obstacle } from '../../core/found.ts';
import { importPeer, importQuietly } from '../../core/peers-io.ts';
import { BnnError } from '../../errors.ts';
import { registerKernels } from '../../kernels/run.ts';
import { BufferPool } from './buffer-pool.ts';
import type { GpuAdapter, GpuDevice } from './device.ts';
import { STORAGE_BUFFERS } from './dispatch.ts';
import { registerConvolutions } from './kernels/convolution.ts';
import { WEBGPU } from './kernels/kernel.ts';
import { WEBGPU_KERNELS } from './kernels/table.ts';
import { inspectWebgpu, WEBGPU_PACKAGES } from './packages.ts';
import type { WebgpuBackend } from './webgpu-backend.ts';

const DRIVER_HINT =
  'install the driver of the GPU with Vulkan (Linux: libvulkan1 too), Metal or Direct3D 12; or use --backend native';

export interface LoadedWebgpu {
  readonly backend: WebgpuBackend;
  /** Name of the device, for people. */
  readonly device: string;
  /** True for a device that computes on the CPU. */
  readonly isSoftware: boolean;
}

interface Instance {
  requestAdapter(options: object): Promise<GpuAdapter | null>;
}

/** What `webgpu` exports. */
interface Dawn {
  create(flags: string[]): Instance;
  readonly globals: Readonly<Record<string, unknown>>;
}

/** What tfjs-backend-webgpu exports. */
interface BackendPackage {
  readonly webgpu_util?: unknown;
  readonly WebGPUBackend: new (device: GpuDevice, info: unknown) => WebgpuBackend;
}

/** Limits of WebGPU that are lower by default than what devices offer. */
const LIMITS = [
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupSizeX',
  'maxComputeInvocationsPerWorkgroup',
  'maxStorageBuffersPerShaderStage',
];

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|basic render|\bwarp\b/i;

let result: Promise<Found<LoadedWebgpu>> | undefined;
/** Held because Dawn stops when this object is collected, even while devices of it are in use. */
let instance: Instance | undefined;

/** Once per process; a failure is returned with what to do about it. */
export function loadWebgpu(): Promise<Found<LoadedWebgpu>> {
  result ??= load();
  return result;
}

async function load(): Promise<Found<LoadedWebgpu>> {
  try {
    const missing = inspectWebgpu();
    if (missing !== null) return missing;
    const dawn = (await importPeer('webgpu', WEBGPU_PACKAGES[0])) as Dawn;
    // Constants such as GPUBufferUsage and the classes that tfjs checks its buffers against.
    for (const [name, value] of Object.entries(Object.getOwnPropertyDescriptors(dawn.globals))) {
      if (!(name in globalThis)) Object.defineProperty(globalThis, name, value);
    }
    instance = dawn.create([]);
    const adapter = await instance.requestAdapter({ powerPreference: 'high-performance' });
    if (adapter === null) return obstacle('WebGPU finds no GPU', DRIVER_HINT);
    const lack = lackOf(adapter.limits);
    if (lack !== null) return obstacle(lack, 'use --backend native');
    provideNavigator();
    const tfjs = (await importQuietly('webgpu', WEBGPU_PACKAGES[1])) as BackendPackage;
    const backend = await createBackend(adapter, tfjs);
    const { description, vendor, device, architecture } = adapter.info;
    const name = [description, device].find((text) => typeof text === 'string' && text !== '') ?? 'unnamed device';
    const isSoftware = SOFTWARE.test([vendor, device, description, architecture].map(String).join(' '));
    return found({ backend, device: String(name), isSoftware });
  } catch (error) {
    const text = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    return obstacle(`WebGPU does not work: ${text}`, DRIVER_HINT);
  }
}

/** What a GPU is too small for, in words; null for one that is not. */
export function lackOf({ maxStorageBuffersPerShaderStage: buffers }: GpuAdapter['limits']): string | null {
  if (buffers === undefined || buffers >= STORAGE_BUFFERS) return null;
  return `the GPU binds ${buffers} buffers to a shader, the kernels need ${STORAGE_BUFFERS}`;
}

/** tfjs asks whether there is a `navigator.gpu` and nothing more, because the device is given to it. */
function provideNavigator(): void {
  const holder = globalThis as { navigator?: object };
  if (holder.navigator === undefined) Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  const { navigator } = holder;
  if (navigator !== undefined && !('gpu' in navigator)) Object.defineProperty(navigator, 'gpu', { value: {} });
}

async function createBackend(adapter: GpuAdapter, { WebGPUBackend }: BackendPackage): Promise<WebgpuBackend> {
  const requiredFeatures = ['timestamp-query', 'bgra8unorm-storage'].filter((name) => adapter.features.has(name));
  const requiredLimits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
  const backend = new WebGPUBackend(device, adapter.info);
  backend.bufferManager = new BufferPool(device);
  reuseBuffersAtOnce(backend);
  reportDeviceErrors(backend);
  // One submission per training step; reading the loss submits.
  tf.env().set('WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE', 4096);
  tf.removeBackend(WEBGPU);
  tf.registerBackend(WEBGPU, () => backend, 0);
  registerConvolutions();
  registerKernels(WEBGPU, WEBGPU_KERNELS);
  return backend;
}

/**
 * tfjs keeps the buffer of a disposed tensor until the commands that use it are submitted. With one submission per step that would
 * be all tensors of a step. The commands of one queue run in order, so a later one may use the buffer again: nothing is kept.
 */
function reuseBuffersAtOnce(backend: WebgpuBackend): void {
  const nothing = { add: () => {}, has: () => false };
  Object.defineProperty(backend, 'commandQueueOwnedIds', { get: () => nothing, set: () => {} });
}

/** Errors of the device arrive later than the call that caused them; the next reading of a tensor throws the first. */
function reportDeviceErrors(backend: WebgpuBackend): void {
  let failure: Error | undefined;
  backend.device.addEventListener('uncapturederror', ({ error }) => {
    failure ??= error;
  });
  backend.device.lost
    .then(({ reason, message }) => {
      if (reason !== 'destroyed') failure ??= new Error(`device lost: ${message}`);
    })
    .catch(() => {});
  const read = backend.getBufferData.bind(backend);
  backend.getBufferData = async (buffer) => {
    try {
      const data = await read(buffer);
      if (failure === undefined) return data;
    } catch (error) {
      failure ??= error instanceof Error ? error : new Error(String(error));
    }
    const cause = failure;
    failure = undefined;
    throw new BnnError('E_BACKEND', `the GPU reported an error: ${cause?.message.split('\n')[0] ?? 'unknown'}`, {
      cause,
      hint: /memory/i.test(cause?.message ?? '') ? 'use a smaller --batch-size' : 'try --backend native',
    });
  };
}
