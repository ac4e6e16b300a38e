/** Flags that Dawn is started with. */

import { MATRIX_TOGGLES, wantsMatrixUnits } from './matrix-units.ts';

/** Of a device that only we use; rounded to 100 µs, times of kernels say nothing. */
const EXACT_TIMES = 'timestamp_quantization';

/**
 * Those of the variable BNN_DAWN_FLAGS, divided by semicolons, e.g. `adapter=NVIDIA H100 PCIe;enable-dawn-features=dump_shaders`:
 * `adapter=` chooses the GPU, `backend=` vulkan, metal or d3d12, `enable-dawn-features=` and `disable-dawn-features=` name toggles.
 */
export function dawnFlags(env: Readonly<Record<string, string | undefined>>): string[] {
  const { BNN_DAWN_FLAGS: text = '' } = env;
  const flags = text
    .split(';')
    .map((flag) => flag.trim())
    .filter((flag) => flag !== '');
  const exact = withToggle(flags, 'disable-dawn-features=', EXACT_TIMES);
  return wantsMatrixUnits(env) ? withToggle(exact, 'enable-dawn-features=', MATRIX_TOGGLES) : exact;
}

/** Dawn takes each of its lists of toggles once. */
function withToggle(flags: readonly string[], list: string, toggle: string): string[] {
  const at = flags.findIndex((flag) => flag.startsWith(list));
  return at < 0 ? [...flags, `${list}${toggle}`] : flags.map((flag, i) => (i === at ? `${flag},${toggle}` : flag));
}
