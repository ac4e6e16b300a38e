/** Binary weights that a checkpoint keeps as bits: as booleans, or as unsigned integers that are 0 or 1. */

import type { Tensor } from '../../core/tensors/tensor.ts';

const UNSIGNED: ReadonlySet<string> = new Set(['bool', 'uint8', 'uint16', 'uint32', 'uint64']);

/** +1 for a bit of 1 and −1 for one of 0, as everywhere (see `core/numbers/bits.ts`); null for weights that are no bits. */
export function signsOfBits({ dtype, shape, data }: Tensor): Tensor<'float32'> | null {
  if (!UNSIGNED.has(dtype) || data.length === 0) return null;
  const signs = new Float32Array(data.length);
  for (let i = 0; i < signs.length; i++) {
    const bit = Number(data[i]);
    if (bit > 1) return null;
    signs[i] = bit === 1 ? 1 : -1;
  }
  return { dtype: 'float32', shape, data: signs };
}

export function bitsNote(name: string): string {
  return `${name} holds bits: 1 is taken for +1, 0 for -1`;
}
