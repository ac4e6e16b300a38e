/** Options that several subjects of `bnn-bench` have. */

import { availableParallelism } from 'node:os';

export const KERNEL_HELP =
  'force an instruction set, as BNN_KERNEL does: avx512bf16, avx512vpopcntdq, avx512, avx2, neonbf16, neon, scalar';

export function threadsHelp(otherwise: number): string {
  return `threads; 0 = all ${availableParallelism()} of this machine (default: ${otherwise})`;
}
