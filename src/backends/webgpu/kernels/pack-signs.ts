/** Signs as bits, 32 to a word. */

import type * as tf from '@tensorflow/tfjs-core';
import { dispatch, FLAT_HEAD, flatGroups } from '../dispatch.ts';
import { WORD_BITS } from '../kept-forms.ts';
import type { WebgpuBackend } from '../webgpu-backend.ts';
import { allocate } from './kernel.ts';

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
