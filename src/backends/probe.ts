/** Tries every backend and says what works here, for `bnn doctor`. */

import { type Finding, findingOf, found } from '../core/found.ts';
import type { Backend } from './backend.ts';
import { BACKENDS } from './backends.ts';

/** One report per backend, in the order of preference of `--backend auto`. */
export async function probeBackends(): Promise<Finding[]> {
  const rows: readonly Backend[] = BACKENDS;
  const reports: Finding[] = [];
  for (const wantsGpu of [true, false]) {
    for (const { name, load } of rows.filter(({ capabilities }) => capabilities.gpu === wantsGpu)) {
      const loaded = await load();
      reports.push(findingOf(name, loaded.ok ? found(loaded.value.detail) : loaded));
    }
  }
  return reports;
}
