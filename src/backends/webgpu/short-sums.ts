/**
 * Tensors of integers that 16 bits hold, such as sums of ±1, two to a word: half the bytes for each kernel here that reads them, and the same
 * numbers. Where anything else asks for such a tensor, it is widened to float32 first.
 */

import type * as tf from '@tensorflow/tfjs-core';
import type { GpuBuffer } from './device.ts';
import { bufferOf, dispatchBuffers, FLAT_HEAD, flatGroups } from './dispatch.ts';
import { keepForm, keptForm } from './kept-forms.ts';
import { allocate, sizeOf } from './kernels/kernel.ts';
import type { WebgpuBackend } from './webgpu-backend.ts';

/** Of magnitudes. */
export const MOST_SHORT = 2 ** 15 - 1;

/** WGSL: four numbers as two words, and back; and one of the two of a word. */
export const TO_SHORTS = `
fn to_shorts(v: vec4<i32>) -> vec2<u32> {
  let halves = bitcast<vec4<u32>>(v) & vec4<u32>(0xffffu);
  return halves.xz | (halves.yw << vec2<u32>(16u));
}`;
export const FROM_SHORTS = `
fn from_shorts(words: vec2<u32>) -> vec4<f32> {
  return vec4<f32>(bitcast<vec4<i32>>(words.xxyy << vec4<u32>(16u, 0u, 16u, 0u)) >> vec4<u32>(16u));
}
fn from_short(word: u32, i: u32) -> f32 { return f32(extractBits(bitcast<i32>(word), 16u * (i % 2u), 16u)); }`;

/** A tensor that has only this form, contents undefined: what is to be written is `shorts`. */
export function allocateShorts(
  backend: WebgpuBackend,
  shape: readonly number[],
): { readonly y: tf.TensorInfo; readonly shorts: tf.TensorInfo } {
  const y = allocate(backend, shape);
  // Elements of four bytes; which ones, only the kernels know.
  const shorts = allocate(backend, [sizeOf(y) / 2]);
  keepForm(backend, y, 'shorts', shorts);
  return { y, shorts };
}

/** Whoever asks for the float32 elements gets them. */
export function widenWhereAsked(backend: WebgpuBackend): void {
  const { uploadToGPU, read, readSync, readToGPU } = backend;
  const widen = (id: object): void => {
    if (keptForm(backend, id, 'shorts') !== null) backend.uploadToGPU(id);
  };
  backend.uploadToGPU = (id) => {
    const { resource, values } = backend.tensorMap.get(id);
    const shorts = (resource ?? values ?? null) === null ? keptForm(backend, id, 'shorts') : null;
    uploadToGPU.call(backend, id);
    if (shorts !== null) expand(backend, bufferOf(backend, shorts.dataId), bufferOf(backend, id));
  };
  backend.read = (id) => {
    widen(id);
    return read.call(backend, id);
  };
  backend.readSync = (id) => {
    widen(id);
    return readSync.call(backend, id);
  };
  backend.readToGPU = (id) => {
    widen(id);
    return readToGPU.call(backend, id);
  };
}

function expand(backend: WebgpuBackend, shorts: GpuBuffer, floats: GpuBuffer): void {
  const vectors = floats.size / 16;
  dispatchBuffers(backend, {
    label: 'widen',
    code: `${FROM_SHORTS}${FLAT_HEAD}
  if (i < p.vectors) { floats[i] = from_shorts(shorts[i]); }
}`,
    inputs: { shorts },
    outputs: { floats },
    elements: { shorts: 'vec2<u32>', floats: 'vec4<f32>' },
    numbers: { vectors: ['u32', vectors] },
    groups: flatGroups(vectors),
  });
}
