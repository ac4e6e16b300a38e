/** Loads tfjs's WebGPU backend on the `webgpu` package (Dawn), when both are installed, and puts our kernels on it. */

import { type Found, found, obstacle } from '../../core/found.ts';
import { importPeer } from '../../core/machine/peers-io.ts';
import { createBackend } from './create-backend.ts';
import { dawnFlags } from './dawn-flags.ts';
import type { GpuAdapter } from './device.ts';
import { STORAGE_BUFFERS, WORKGROUP_BYTES, WORKGROUP_THREADS } from './dispatch.ts';
import { findMatrixUnits, wantsMatrixUnits } from './matrix-units.ts';
import { noGpuHint } from './no-gpu-hint-io.ts';
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
  /** Whether kernels use tensor cores. */
  readonly hasMatrixUnits: boolean;
}

interface Instance {
  requestAdapter(options: object): Promise<GpuAdapter | null>;
}

/** What `webgpu` exports. */
interface Dawn {
  create(flags: string[]): Instance;
  readonly globals: Readonly<Record<string, unknown>>;
}

let result: Promise<Found<LoadedWebgpu>> | undefined;
/** Held because Dawn stops when this object is collected, even while devices of it are in use. */
let instance: Instance | undefined;

/**
 * Once per process; a failure is returned with what to do about it.
 *
 * @param find  where the device comes from, if not from Dawn; only the first call can tell.
 */
export function loadWebgpu(find: () => Promise<Found<GpuAdapter>> = findAdapter): Promise<Found<LoadedWebgpu>> {
  result ??= load(find);
  return result;
}

async function load(find: () => Promise<Found<GpuAdapter>>): Promise<Found<LoadedWebgpu>> {
  try {
    const missing = inspectWebgpu();
    if (missing !== null) return missing;
    const adapter = await find();
    if (!adapter.ok) return adapter;
    const { limits, info } = adapter.value;
    const lack = lackOf(limits);
    if (lack !== null) return obstacle(lack, 'use --backend native');
    const units = wantsMatrixUnits(process.env) ? findMatrixUnits(adapter.value) : found(null);
    if (!units.ok) return units;
    const backend = await createBackend(adapter.value, units.value);
    const isSoftware = info['isFallbackAdapter'] === true;
    return found({ backend, device: nameOf(info), isSoftware, hasMatrixUnits: units.value !== null });
  } catch (error) {
    const text = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    return obstacle(`WebGPU does not work: ${text}`, DRIVER_HINT);
  }
}

/** `device` is the name of the GPU where the driver tells it; `description` is the driver's own text. */
function nameOf({ device, description, vendor, architecture }: GpuAdapter['info']): string {
  const names = [device, description, [vendor, architecture].filter(Boolean).join(' ')];
  return String(names.find((text) => typeof text === 'string' && text !== '') ?? 'unnamed device');
}

async function findAdapter(): Promise<Found<GpuAdapter>> {
  const dawn = (await importPeer('webgpu', WEBGPU_PACKAGES[0])) as Dawn;
  // Constants such as GPUBufferUsage and the classes that tfjs checks its buffers against.
  for (const [name, value] of Object.entries(Object.getOwnPropertyDescriptors(dawn.globals))) {
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, value);
  }
  instance = dawn.create(dawnFlags(process.env));
  const adapter = await instance.requestAdapter({ powerPreference: 'high-performance' });
  return adapter === null ? obstacle('WebGPU finds no GPU', noGpuHint()) : found(adapter);
}

/** What a GPU is too small for, in words; null for one that is not. */
export function lackOf({
  maxStorageBuffersPerShaderStage: buffers = STORAGE_BUFFERS,
  maxComputeWorkgroupStorageSize: memory = WORKGROUP_BYTES,
  maxComputeInvocationsPerWorkgroup: threads = WORKGROUP_THREADS,
}: GpuAdapter['limits']): string | null {
  if (buffers < STORAGE_BUFFERS)
    return `the GPU binds ${buffers} buffers to a shader, the kernels need ${STORAGE_BUFFERS}`;
  if (memory < WORKGROUP_BYTES)
    return `a group of the GPU has ${memory} bytes of memory, the kernels need ${WORKGROUP_BYTES}`;
  if (threads < WORKGROUP_THREADS)
    return `a group of the GPU has ${threads} threads, the kernels need ${WORKGROUP_THREADS}`;
  return null;
}
