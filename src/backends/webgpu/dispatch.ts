/** Records the run of a compute shader of our own in the command encoder of tfjs's WebGPU backend, among its other kernels. */

import type * as tf from '@tensorflow/tfjs-core';
import type { StepNumbers } from '../step-recorder.ts';
import type { GpuBuffer, GpuDevice, GpuPipeline } from './device.ts';
import { MOST_WORK } from './recorded-dispatch.ts';
import { tapOf } from './tap.ts';
import type { WebgpuBackend } from './webgpu-backend.ts';

/** The most that a kernel binds: the gradient of batch normalization with a scale does. */
export const STORAGE_BUFFERS = 10;
/** The most that a group of a kernel takes: what every device of WebGPU has. `dispatch` holds the kernels to it. */
export const WORKGROUP_BYTES = 16384;
export const WORKGROUP_THREADS = 256;

export type Element = 'f32' | 'u32' | 'vec2<u32>' | 'vec4<u32>' | 'vec4<f32>';

/** GPUBufferUsage.UNIFORM | COPY_DST. */
const UNIFORM_USAGE = 0x40 | 0x08;
/** Most groups in one dimension of a dispatch that every device allows. */
const MOST_GROUPS = 65535;
/** Numbers that are kept on the device; a schedule makes new ones in each epoch. */
const MOST_UNIFORMS = 1024;
/** Submitted at the latest after so many dispatches, so that the device does not wait for a very long list. */
const MOST_DISPATCHES = 4096;

export type Numbers = Readonly<Record<string, readonly [type: 'u32' | 'f32', value: number]>>;

export interface Varying {
  /** Of what `at` computes, besides its argument: the same key, the same function. */
  readonly key: string;
  readonly at: (now: StepNumbers) => Readonly<Record<string, number>>;
}

/** A dispatch on tensors, or on the buffers that they lie in. */
export interface Dispatch<Data = tf.TensorInfo> {
  /** What it does, in profiles. */
  readonly label: string;
  /** Multiply-adds of floats, for those that are many. */
  readonly multiplyAdds?: number;
  /**
   * Declarations and `@compute` functions. Inputs, outputs and numbers are declared for it: an input or output `x` as the array `x`
   * of its element type, a number `n` as `p.n`.
   */
  readonly code: string;
  /** WGSL at the head of the module, before all declarations. */
  readonly directives?: string;
  readonly inputs: Readonly<Record<string, Data>>;
  readonly outputs: Readonly<Record<string, Data>>;
  /** Element types other than f32. */
  readonly elements?: Readonly<Record<string, Element>>;
  /** Numbers that may differ from call to call without another shader. */
  readonly numbers?: Numbers;
  /** Values of those numbers that depend on the step, as a function of it: for when the dispatch is run again. */
  readonly varying?: Varying | undefined;
  readonly groups: readonly [x: number, y: number, z: number];
}

interface Caches {
  readonly pipelines: Map<string, GpuPipeline>;
  readonly uniforms: Map<string, GpuBuffer>;
  /** Since something was sent. */
  work: number;
}

const caches = new WeakMap<GpuDevice, Caches>();

function cachesOf(device: GpuDevice): Caches {
  const known = caches.get(device);
  if (known !== undefined) return known;
  const created = { pipelines: new Map(), uniforms: new Map(), work: 0 };
  caches.set(device, created);
  return created;
}

/** Groups of `threads` for `count` items, as x and y of a dispatch; shaders get their index from `flatIndex`. */
export function flatGroups(count: number, threads = 256): [number, number, number] {
  const groups = Math.max(1, Math.ceil(count / threads));
  const x = Math.min(groups, MOST_GROUPS);
  return [x, Math.ceil(groups / x), 1];
}

/** WGSL: the head of an entry point with one invocation per item, and its index `i`. */
export const FLAT_HEAD = `
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let i = (wid.y * groups.x + wid.x) * 256u + lid;
`;

export function dispatch(backend: WebgpuBackend, given: Dispatch): void {
  const upload = (tensors: Readonly<Record<string, tf.TensorInfo>>) =>
    Object.fromEntries(Object.entries(tensors).map(([name, { dataId }]) => [name, uploaded(backend, dataId)]));
  dispatchBuffers(backend, { ...given, inputs: upload(given.inputs), outputs: upload(given.outputs) });
}

/** Of a tensor, copied to the device unless it is there. */
export function uploaded(backend: WebgpuBackend, dataId: object): GpuBuffer {
  backend.uploadToGPU(dataId);
  return bufferOf(backend, dataId);
}

export function dispatchBuffers(backend: WebgpuBackend, given: Dispatch<GpuBuffer>): void {
  const { label, multiplyAdds = 0, directives = '', code, inputs, outputs, elements, numbers, varying, groups } = given;
  const bound = [...Object.entries(inputs), ...Object.entries(outputs)];
  if (bound.length > mostBuffers(backend)) throw new Error(`internal: a kernel binds ${bound.length} buffers`);
  const declarations = bound.map(([name], binding) => {
    const access = name in outputs ? 'read_write' : 'read';
    return `@group(0) @binding(${binding}) var<storage, ${access}> ${name}: array<${elements?.[name] ?? 'f32'}>;`;
  });
  if (numbers !== undefined) {
    const fields = Object.entries(numbers).map(([name, [type]]) => `${name}: ${type}`);
    declarations.push(`struct Numbers { ${fields.join(', ')} }`);
    declarations.push(`@group(0) @binding(${bound.length}) var<uniform> p: Numbers;`);
  }
  const { pipelines } = cachesOf(backend.device);
  const source = `// ${label}\n${directives}\n${declarations.join('\n')}\n${code}`;
  let pipeline = pipelines.get(source);
  if (pipeline === undefined) {
    const module = backend.device.createShaderModule({ code: source });
    pipeline = backend.device.createComputePipeline({ label, layout: 'auto', compute: { module, entryPoint: 'main' } });
    pipelines.set(source, pipeline);
  }
  const resources = bound.map(([, buffer]) => buffer);
  if (numbers !== undefined) {
    resources.push(varying === undefined ? uniformOf(backend, numbers) : varyingUniform(backend, numbers, varying));
  }
  const group = backend.device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: resources.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  backend.ensureCommandEncoderReady();
  backend.computePassEncoder ??= backend.commandEncoder?.beginComputePass({}) ?? null;
  const pass = backend.computePassEncoder;
  tapOf(backend)?.announce(multiplyAdds);
  if (pass === null) throw new Error('internal: there is no compute pass');
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(...groups);
  backend.dispatchCountInPass++;
  limitWork(backend, multiplyAdds + resources.reduce((sum, { size }) => sum + size, 0) / 4);
}

function mostBuffers({ device }: WebgpuBackend): number {
  return device.limits['maxStorageBuffersPerShaderStage'] ?? STORAGE_BUFFERS;
}

/** Sends what was given, where it is much. */
function limitWork(backend: WebgpuBackend, work: number): void {
  const caches = cachesOf(backend.device);
  // The first of a list.
  if (backend.dispatchCountInPass === 1) caches.work = 0;
  caches.work += work;
  if (backend.dispatchCountInPass >= MOST_DISPATCHES) {
    backend.endComputePassEncoder();
    backend.submitQueue();
  } else if (caches.work >= MOST_WORK) {
    caches.work = 0;
    const tap = tapOf(backend);
    if (tap !== undefined) {
      tap.submit();
    } else {
      backend.endComputePassEncoder();
      backend.submitQueue();
    }
  }
}

/** @throws {Error} when the data are on the host. */
export function bufferOf(backend: WebgpuBackend, dataId: object): GpuBuffer {
  const { resource } = backend.tensorMap.get(dataId);
  if (resource === null) throw new Error('internal: a tensor is not on the device');
  return resource;
}

/** A uniform buffer with the numbers; kept for the next call with the same ones. */
function uniformOf(backend: WebgpuBackend, numbers: Numbers): GpuBuffer {
  const { uniforms } = cachesOf(backend.device);
  const key = Object.values(numbers)
    .map(([type, value]) => `${type}${value}`)
    .join(' ');
  const known = uniforms.get(key);
  if (known !== undefined) return known;
  for (const [oldest, buffer] of uniforms) {
    if (uniforms.size < MOST_UNIFORMS) break;
    backend.bufferManager.releaseBuffer(buffer);
    uniforms.delete(oldest);
  }
  const contents = encodeNumbers(numbers);
  const buffer = backend.bufferManager.acquireConstant(contents.byteLength, UNIFORM_USAGE);
  backend.device.queue.writeBuffer(buffer, 0, contents);
  uniforms.set(key, buffer);
  return buffer;
}

/** After a failure: they may be among what the device had no memory for. */
export function forgetUniforms({ device, bufferManager }: WebgpuBackend): void {
  const { uniforms } = cachesOf(device);
  for (const buffer of uniforms.values()) bufferManager.releaseBuffer(buffer);
  uniforms.clear();
}

function varyingUniform(backend: WebgpuBackend, numbers: Numbers, varying: Varying): GpuBuffer {
  const tap = tapOf(backend);
  const key = JSON.stringify([numbers, varying.key]);
  const known = tap?.varying.get(key);
  if (known !== undefined) return known.buffer;
  const contents = encodeNumbers(numbers);
  const buffer = backend.bufferManager.acquireConstant(contents.byteLength, UNIFORM_USAGE);
  backend.device.queue.writeBuffer(buffer, 0, contents);
  backend.uniformPendingDisposal.push(buffer);
  tap?.varying.set(key, { buffer, encode: (now) => encodeNumbers(numbers, varying.at(now)) });
  return buffer;
}

/** As a struct of WGSL's uniform address space. */
function encodeNumbers(numbers: Numbers, replaced: Readonly<Record<string, number>> = {}): ArrayBuffer {
  const entries = Object.entries(numbers);
  const bytes = new DataView(new ArrayBuffer(Math.ceil(entries.length / 4) * 16));
  for (const [i, [name, [type, given]]] of entries.entries()) {
    const value = replaced[name] ?? given;
    if (type === 'f32') bytes.setFloat32(4 * i, value, true);
    else bytes.setUint32(4 * i, value, true);
  }
  return bytes.buffer as ArrayBuffer;
}
