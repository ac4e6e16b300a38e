import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A folder of the material beside the repository, and whether it is there. */
export function sharedData(name: string): { readonly path: string; readonly isMissing: boolean } {
  const path = fileURLToPath(new URL(`../../../shared/data/${name}`, import.meta.url));
  return { path, isMissing: !existsSync(path) };
}
