/** Material beside the repository; tests that need it are skipped where it is missing. */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SHARED = fileURLToPath(new URL('../../../shared/', import.meta.url));

export function sharedPath(path: string): string {
  return SHARED + path;
}

export function hasShared(path: string): boolean {
  return existsSync(sharedPath(path));
}
