/** Flags that Dawn is started with. */

/** Of a device that only we use; rounded to 100 µs, times of kernels say nothing. */
const EXACT_TIMES = 'timestamp_quantization';

/**
 * Those of the variable BNN_DAWN_FLAGS, divided by semicolons, e.g. `adapter=NVIDIA H100 PCIe;enable-dawn-features=dump_shaders`:
 * `adapter=` chooses the GPU, `backend=` vulkan, metal or d3d12, `enable-dawn-features=` and `disable-dawn-features=` name toggles.
 */
export function dawnFlags({ BNN_DAWN_FLAGS: text = '' }: Readonly<Record<string, string | undefined>>): string[] {
  const flags = text
    .split(';')
    .map((flag) => flag.trim())
    .filter((flag) => flag !== '');
  const disabling = flags.findIndex((flag) => flag.startsWith('disable-dawn-features='));
  if (disabling < 0) return [...flags, `disable-dawn-features=${EXACT_TIMES}`];
  return flags.map((flag, i) => (i === disabling ? `${flag},${EXACT_TIMES}` : flag));
}
