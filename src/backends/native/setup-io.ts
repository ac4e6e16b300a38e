/** Builds the native files with the compiler of this machine, where a package manager ran no script or somebody wants their own. */

import { access, constants } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buildFolders } from '../../core/machine/native-file-io.ts';
import { BnnError } from '../../errors.ts';
import type { Setup } from '../backend-facts.ts';
import { complaint, runProgram } from '../run-program-io.ts';

/** Loaded elsewhere: this process may have one already, and a library is never unloaded. */
const VERIFICATION = 'process.stdout.write(require(process.argv[1]).isas())';

/**
 * Builds into `build/` of the package, or into the user's cache where that cannot be written.
 *
 * @throws {BnnError} E_BACKEND without a compiler, or when it fails.
 */
export async function setupNative(onStage: (line: string) => void): ReturnType<Setup['run']> {
  const [inPackage, inCache] = buildFolders();
  const root = dirname(inPackage);
  const folder = (await isWritable(root)) ? inPackage : inCache;
  onStage(`compiling the native kernels into ${folder} (a few minutes)`);
  const script = join(root, 'tools', 'build-native.mjs');
  const env = { ...process.env, BNN_BUILD_FOLDER: folder };
  const { status, stderr } = await runProgram(process.execPath, [script, '--required'], root, env);
  if (status !== 0) {
    throw new BnnError('E_BACKEND', `the native kernels could not be built: ${complaint(stderr, /not built|error/i)}`, {
      at: folder,
      hint: 'install g++ 10 or later (Debian: apt-get install g++; macOS: xcode-select --install), or name a compiler by CXX',
    });
  }
  const path = join(folder, 'bnn_native.node');
  const check = await runProgram(process.execPath, ['-e', VERIFICATION, path]);
  if (check.status !== 0) {
    throw new BnnError('E_BACKEND', `it was built but does not load: ${complaint(check.stderr, /Error/)}`, {
      at: path,
    });
  }
  return { facts: { folder, isas: check.stdout.split(',') }, text: `native kernels for ${check.stdout}, in ${folder}` };
}

async function isWritable(folder: string): Promise<boolean> {
  try {
    await access(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
