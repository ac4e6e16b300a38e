/** Before the tests: the platforms' packages are made, as far as they are not up to date. */

import { spawnSync } from 'node:child_process';
import { ROOT } from './released.ts';

export default function makeRelease(): void {
  const { status } = spawnSync(process.execPath, ['tools/release.mjs', '--platforms-only'], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  if (status !== 0) console.error('release/ could not be made: tests of packages that are not there are skipped');
}
