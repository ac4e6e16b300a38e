/** The version of this package, from its package.json. */

import { readFileSync } from 'node:fs';

interface PackageFacts {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** Both `src/tasks` and `dist/tasks` lie two levels below the package. */
const facts = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as PackageFacts;

export const VERSION = facts.version;
export const TFJS_VERSION = facts.dependencies['@tensorflow/tfjs-core'] ?? '?';
