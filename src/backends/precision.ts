/** What a backend multiplies in training. */

import { BnnError } from '../errors.ts';
import type { TrainingPrecision } from '../kernels/convolution.ts';
import { namesWith } from './backends.ts';
import type { SelectedBackend } from './select-backend.ts';

/** As recipes and options name it: `auto` is bf16 where that is faster. */
export const PRECISIONS = ['auto', 'float32', 'bf16', 'bf16-all'] as const;
export type WantedPrecision = (typeof PRECISIONS)[number];

/** @throws {BnnError} E_USAGE for bf16 on a backend that multiplies float32 only. */
export function precisionOf(
  wanted: WantedPrecision,
  { name, capabilities, fasterInBf16 = false }: Pick<SelectedBackend, 'name' | 'capabilities' | 'fasterInBf16'>,
): TrainingPrecision {
  if (wanted === 'auto') return fasterInBf16 ? 'bf16' : 'float32';
  if (wanted === 'float32' || capabilities.bf16) return wanted;
  throw new BnnError('E_USAGE', `precision is ${wanted}, but the backend ${name} multiplies float32`, {
    hint: `--precision float32 (or auto), or --backend ${namesWith('bf16').join(' or ')}`,
  });
}
