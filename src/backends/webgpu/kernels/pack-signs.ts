/** Signs as bits, 32 to a word. */

import type * as tf from '@tensorflow/tfjs-core';
import { dispatch, FLAT_HEAD, flatGroups } from '../dispatch.ts';
import { WORD_BITS } from '../kept-forms.ts';
import type { WebgpuBackend } from '../webgpu-backend.ts';
import { allocate } from './kernel.ts';

/** Whether neighbouring threads of four channels each can pack the signs of so many channels. */
export function packsSigns(channels: number): boolean {
  return channels % 4 === 0 && (channels % WORD_BITS === 0 || WORD_BITS % channels === 0);
}

export const PACKING = 'var<workgroup> nibbles: array<u32, 256>;';

/** WGSL: the signs of four numbers as bits. */
export function nibbleOf(values: string): string {
  return `dot(select(vec4<u32>(), vec4<u32>(1u, 2u, 4u, 8u), ${values} >= vec4<f32>()), vec4<u32>(1u))`;
}

/** WGSL that makes words of the four bits that each thread has as `nibble`. */
export function packCode(channels: number): string {
  const threads = Math.min(channels, WORD_BITS) / 4;
  return `nibbles[lid] = nibble;
  workgroupBarrier();
  if (lid % ${threads}u == 0u && i < p.count) {
    var word = 0u;
    for (var k = 0u; k < ${threads}u; k++) { word |= nibbles[lid + k] << (4u * k); }
    signs[i / ${threads}u] = word;
  }`;
}

interface Rows {
  readonly rows: number;
  readonly channels: number;
  readonly columns: number;
}

/**
 * Packs signs along the middle of [rows, channels, columns]: u32[rows][words][columns].
 *
 * @param signs  gets them as ±1 too, where it is given: as large as `values`.
 */
export function packSigns(
  backend: WebgpuBackend,
  values: tf.TensorInfo,
  { rows, channels, columns }: Rows,
  signs?: tf.TensorInfo,
): tf.TensorInfo {
  const words = Math.ceil(channels / WORD_BITS);
  // Elements of four bytes; which ones, only the kernels know.
  const packed = allocate(backend, [rows, words, columns]);
  const size = rows * words * columns;
  if (columns === 1 && signs === undefined && packsSigns(channels)) {
    packNeighbours(backend, values, packed, rows, channels);
    return packed;
  }
  dispatch(backend, {
    label: signs === undefined ? 'pack signs' : 'sign',
    code: `${FLAT_HEAD}
  if (i >= p.size) { return; }
  let column = i % p.columns;
  let first = i / p.columns % p.words * ${WORD_BITS}u;
  let row = i / (p.columns * p.words);
  let count = min(${WORD_BITS}u, p.channels - first);
  var word = 0u;
  for (var bit = 0u; bit < count; bit++) {
    let at = (row * p.channels + first + bit) * p.columns + column;
    let is_plus = values[at] >= 0.0;
    ${signs === undefined ? '' : 'signs[at] = select(-1.0, 1.0, is_plus);'}
    word |= select(0u, 1u, is_plus) << bit;
  }
  packed[i] = word;
}`,
    inputs: { values },
    outputs: { ...(signs !== undefined && { signs }), packed },
    elements: { packed: 'u32' },
    numbers: { size: ['u32', size], channels: ['u32', channels], columns: ['u32', columns], words: ['u32', words] },
    groups: flatGroups(size),
  });
  return packed;
}

/** Where the channels of a row lie side by side: a thread reads four of them, so that neighbouring threads read neighbouring memory. */
function packNeighbours(
  backend: WebgpuBackend,
  values: tf.TensorInfo,
  signs: tf.TensorInfo,
  rows: number,
  channels: number,
): void {
  const count = (rows * channels) / 4;
  dispatch(backend, {
    label: 'pack signs',
    code: `${PACKING}
${FLAT_HEAD}
  var nibble = 0u;
  if (i < p.count) { nibble = ${nibbleOf('values[i]')}; }
  ${packCode(channels)}
}`,
    inputs: { values },
    outputs: { signs },
    elements: { values: 'vec4<f32>', signs: 'u32' },
    numbers: { count: ['u32', count] },
    groups: flatGroups(count),
  });
}
