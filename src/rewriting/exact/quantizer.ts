/** QuantizeLinear as a function of numbers. */

import { roundHalfEven } from '../../core/numbers/round.ts';
import type { Dtype } from '../../core/tensors/tensor.ts';

/** Ranges of the integers that a quantizer gives. */
const RANGES: Partial<Record<Dtype, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
};

/** QuantizeLinear as a function of one number; null for a type that is no integer of 8 or 16 bits, or a scale that is not positive. */
export function quantizer(dtype: Dtype | null, scale: number, zero: number): ((x: number) => number) | null {
  const [low, high] = RANGES[dtype ?? 'bool'] ?? [];
  if (low === undefined || high === undefined || !(scale > 0)) return null;
  return (x) => Math.min(high, Math.max(low, roundHalfEven(Math.fround(x / scale)) + zero));
}
