/** Installs optional packages beside the project, so that its lock file stays as it is. */

import { mkdir } from 'node:fs/promises';
import { BnnError, fromSystemError } from '../errors.ts';
import { complaint, runNpm } from './run-program-io.ts';

/**
 * Installs npm packages into a folder of their own, without running their install scripts.
 *
 * @throws {BnnError} E_BACKEND when npm cannot.
 */
export async function installInto(folder: string, packages: readonly string[]): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw fromSystemError(error, 'create the folder for the packages', folder);
  }
  const flags = ['--ignore-scripts', '--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, stderr } = await runNpm(['install', ...flags, '--prefix', folder, ...packages]).catch(
    (error: unknown) => {
      throw new BnnError('E_BACKEND', 'npm cannot be started', { hint: 'put npm on PATH', cause: error });
    },
  );
  if (status === 0) return;
  throw new BnnError(
    'E_BACKEND',
    `npm could not install ${packages.join(' and ')}: ${complaint(stderr, /npm (error|ERR!) \S+ .*(request|network|404|EACCES|ENOSPC)/)}`,
    {
      at: folder,
      hint: 'this step needs the npm registry; without internet, copy the folder from a machine where it has run',
    },
  );
}
