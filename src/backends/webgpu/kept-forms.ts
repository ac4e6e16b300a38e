/**
 * Other forms of a tensor that are kept beside it and go when it goes:
 *
 * - `signs`: what computes a tensor that a binary convolution reads packs its signs at once, so that nobody reads it again for that.
 *   u32[rows][words] for rows of channels, the last dimension, bit 1 for +1; see `core/numbers/bits.ts`.
 * - `filter signs`: of filters, u32[KH · KW][words][O].
 * - `magnitudes`: of a gradient, the largest magnitudes of 256 parts of it; see `matrix-product.ts`.
 * - `shorts`: in place of the tensor, whose elements are integers of 16 bits; see `short-sums.ts`.
 */

import type * as tf from '@tensorflow/tfjs-core';
import type { WebgpuBackend } from './webgpu-backend.ts';

/** Of a word of signs. */
export const WORD_BITS = 32;

type Form = 'signs' | 'filter signs' | 'magnitudes' | 'shorts';

const kept = new WeakMap<WebgpuBackend, WeakMap<object, Map<Form, tf.TensorInfo>>>();

function keptOf(backend: WebgpuBackend): WeakMap<object, Map<Form, tf.TensorInfo>> {
  const known = kept.get(backend);
  if (known !== undefined) return known;
  const created = new WeakMap<object, Map<Form, tf.TensorInfo>>();
  kept.set(backend, created);
  return created;
}

export function keepForm(backend: WebgpuBackend, { dataId }: tf.TensorInfo, form: Form, packed: tf.TensorInfo): void {
  const all = keptOf(backend);
  all.set(dataId, (all.get(dataId) ?? new Map()).set(form, packed));
}

/** That of a tensor, which stays its own; null where nobody made it. */
export function keptForm(backend: WebgpuBackend, dataId: object, form: Form): tf.TensorInfo | null {
  return keptOf(backend).get(dataId)?.get(form) ?? null;
}

export function disposeFormsToo(backend: WebgpuBackend): void {
  const dispose = backend.disposeData.bind(backend);
  backend.disposeData = (id, force) => {
    const isGone = dispose(id, force);
    if (!isGone) return false;
    const all = keptOf(backend);
    const forms = all.get(id);
    all.delete(id);
    for (const { dataId } of forms?.values() ?? []) dispose(dataId);
    return true;
  };
}
