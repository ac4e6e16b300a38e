/**
 * Signs of a tensor as bits, kept beside it: what computes a tensor that a binary convolution reads packs its signs at once, so that nobody
 * reads it again for that. u32[rows][words] for rows of channels, the last dimension, bit 1 for +1; see `core/bits.ts`.
 */

import type * as tf from '@tensorflow/tfjs-core';
import type { WebgpuBackend } from './webgpu-backend.ts';

export const WORD_BITS = 32;

interface Kept {
  /** By the tensor whose signs they are. */
  readonly packed: WeakMap<object, tf.TensorInfo>;
  /** Of filters, whose bits lie otherwise: u32[KH · KW][words][O]. */
  readonly filters: WeakMap<object, tf.TensorInfo>;
  /** Whether anything asked for signs so far; networks without binary layers need none. */
  isWanted: boolean;
}

const kept = new WeakMap<WebgpuBackend, Kept>();

function keptOf(backend: WebgpuBackend): Kept {
  const known = kept.get(backend);
  if (known !== undefined) return known;
  const created: Kept = { packed: new WeakMap(), filters: new WeakMap(), isWanted: false };
  kept.set(backend, created);
  return created;
}

export function keepSigns(backend: WebgpuBackend, { dataId }: tf.TensorInfo, packed: tf.TensorInfo): void {
  keptOf(backend).packed.set(dataId, packed);
}

/** Those of a tensor, which stay its own; null where nobody packed them. */
export function keptSigns(backend: WebgpuBackend, { dataId }: tf.TensorInfo): tf.TensorInfo | null {
  const all = keptOf(backend);
  all.isWanted = true;
  return all.packed.get(dataId) ?? null;
}

export function keepFilterSigns(backend: WebgpuBackend, { dataId }: tf.TensorInfo, packed: tf.TensorInfo): void {
  keptOf(backend).filters.set(dataId, packed);
}

export function keptFilterSigns(backend: WebgpuBackend, { dataId }: tf.TensorInfo): tf.TensorInfo | null {
  return keptOf(backend).filters.get(dataId) ?? null;
}

/** Whether signs of rows of so many channels should be packed, and can be by neighbouring threads of four channels each. */
export function packsSigns(backend: WebgpuBackend, channels: number): boolean {
  return keptOf(backend).isWanted && channels % 4 === 0 && (channels % WORD_BITS === 0 || WORD_BITS % channels === 0);
}

/** When a tensor goes, its signs go. */
export function disposeSignsToo(backend: WebgpuBackend): void {
  const dispose = backend.disposeData.bind(backend);
  backend.disposeData = (id, force) => {
    const isGone = dispose(id, force);
    if (!isGone) return false;
    const { packed, filters } = keptOf(backend);
    for (const signs of [packed, filters]) {
      const own = signs.get(id);
      signs.delete(id);
      if (own !== undefined) dispose(own.dataId);
    }
    return true;
  };
}
