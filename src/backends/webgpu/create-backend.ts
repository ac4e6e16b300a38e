/** A backend of tfjs on a device of WebGPU, with our pool of buffers and our kernels. */

import * as tf from '@tensorflow/tfjs-core';
import { importQuietly } from '../../core/machine/peers-io.ts';
import { registerKernels } from '../../kernels/run.ts';
import { BufferPool } from './buffer-pool.ts';
import type { GpuAdapter, GpuDevice } from './device.ts';
import { reportDeviceErrors } from './device-errors.ts';
import { flushPieces } from './grouped-dispatch.ts';
import { disposeFormsToo } from './kept-forms.ts';
import { registerConvolutions } from './kernels/convolution.ts';
import { WEBGPU } from './kernels/kernel.ts';
import { WEBGPU_KERNELS } from './kernels/table.ts';
import { MATRIX_FEATURES, type MatrixUnits, setMatrixUnits } from './matrix-units.ts';
import { WEBGPU_PACKAGES } from './packages.ts';
import { rememberLabels } from './pipeline-labels.ts';
import { widenWhereAsked } from './short-sums.ts';
import type { WebgpuBackend } from './webgpu-backend.ts';

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

/**
 * Puts the backend into tfjs; it does not become the current one.
 *
 * @param units  what kernels multiply with, if not with the ordinary ones.
 */
export async function createBackend(adapter: GpuAdapter, units: MatrixUnits | null = null): Promise<WebgpuBackend> {
  provideNavigator();
  const { WebGPUBackend } = (await importQuietly('webgpu', WEBGPU_PACKAGES[1])) as BackendPackage;
  const wanted = ['timestamp-query', 'bgra8unorm-storage'].filter((name) => adapter.features.has(name));
  const requiredFeatures = units === null ? wanted : [...wanted, ...MATRIX_FEATURES];
  const requiredLimits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
  rememberLabels(device);
  const backend = new WebGPUBackend(device, adapter.info);
  backend.bufferManager = new BufferPool(device, () => backend.commandEncoder !== null);
  reuseBuffersAtOnce(backend);
  destroyWhatWasSent(backend);
  givePiecesFirst(backend);
  disposeFormsToo(backend);
  widenWhereAsked(backend);
  reportDeviceErrors(backend);
  setMatrixUnits(backend, units);
  // One submission per training step; reading the loss submits.
  tf.env().set('WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE', 4096);
  tf.removeBackend(WEBGPU);
  tf.registerBackend(WEBGPU, () => backend, 0);
  registerConvolutions();
  registerKernels(WEBGPU, WEBGPU_KERNELS);
  return backend;
}

/** tfjs asks whether there is a `navigator.gpu` and nothing more, because the device is given to it. */
function provideNavigator(): void {
  const holder = globalThis as { navigator?: object };
  if (holder.navigator === undefined) Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  const { navigator } = holder;
  if (navigator !== undefined && !('gpu' in navigator)) Object.defineProperty(navigator, 'gpu', { value: {} });
}

/**
 * tfjs keeps the buffer of a disposed tensor until the commands that use it are submitted. With one submission per step that would
 * be all tensors of a step. The commands of one queue run in order, so a later one may use the buffer again: nothing is kept.
 */
function reuseBuffersAtOnce(backend: WebgpuBackend): void {
  const nothing = { add: () => {}, has: () => false };
  Object.defineProperty(backend, 'commandQueueOwnedIds', { get: () => nothing, set: () => {} });
}

function destroyWhatWasSent(backend: WebgpuBackend): void {
  const submit = backend.submitQueue.bind(backend);
  backend.submitQueue = () => {
    submit();
    backend.bufferManager.destroyRetired();
  };
}

/** Before any other command what waits in `grouped-dispatch.ts` must run. */
function givePiecesFirst(backend: WebgpuBackend): void {
  const ensure = backend.ensureCommandEncoderReady.bind(backend);
  backend.ensureCommandEncoderReady = () => {
    flushPieces(backend);
    ensure();
  };
}
