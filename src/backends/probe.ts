/** Tries every backend and says what works here, for `bnn doctor`. */

import { type Finding, type Found, findingOf, found } from '../core/found.ts';
import type { Backend, LoadedBackend } from './backend.ts';
import { BACKENDS } from './backends.ts';

/** One report per backend, in the order of preference of `--backend auto`. */
export async function probeBackends(): Promise<Finding[]> {
  const rows: readonly Backend[] = BACKENDS;
  const reports: Finding[] = [];
  for (const wantsGpu of [true, false]) {
    for (const { name, inspect, load } of rows.filter(({ capabilities }) => capabilities.gpu === wantsGpu)) {
      const inspected = (await inspect?.()) ?? detailOf(await load());
      reports.push(findingOf(name, inspected));
    }
  }
  return reports;
}

function detailOf(loaded: Found<LoadedBackend>): Found<string> {
  return loaded.ok ? found(loaded.value.detail) : loaded;
}
