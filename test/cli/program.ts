/** How tests start the programs of this repository. */

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

let isCurrent: boolean | undefined;

/**
 * Arguments of Node, for any working directory, that run a file of the repository, named from its root. Files below src/ run as they were compiled, which takes half
 * a second less each time, unless a source is newer than that build: tests are always of the sources that are there.
 */
export function programArguments(file: string): string[] {
  const inSources = /^src\/(.*)\.ts$/.exec(file);
  isCurrent ??= isBuildCurrent();
  if (inSources !== null && isCurrent) return [join(ROOT, `dist/${inSources[1]}.js`)];
  return ['--import', import.meta.resolve('tsx'), join(ROOT, file)];
}

function isBuildCurrent(): boolean {
  const build = statSync(join(ROOT, 'dist/.tsbuildinfo'), { throwIfNoEntry: false });
  if (build === undefined) return false;
  return readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.name.endsWith('.ts'))
    .every(({ parentPath, name }) => statSync(join(parentPath, name)).mtimeMs < build.mtimeMs);
}
