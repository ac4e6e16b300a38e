/** Installs the packages of the webgpu backend and tries its device. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { installInto } from '../install-peer-io.ts';
import { setupFolder } from '../peers.ts';

/** The platform folders of the `webgpu` package that other machines need; together they are most of its size. */
const PLATFORMS = ['darwin-universal', 'linux-arm64', 'linux-x64', 'win32-arm64', 'win32-x64'];

const PACKAGES = ['@tensorflow/tfjs-backend-webgpu@4.22.0', 'webgpu@0.6.2'];

/**
 * Puts the packages into the folder where the backend looks for them, which is returned.
 *
 * @throws {BnnError} E_BACKEND when npm cannot.
 */
export async function setupWebgpu(onStage: (line: string) => void): Promise<string> {
  const folder = setupFolder('webgpu');
  onStage(`installing ${PACKAGES.join(' and ')} into ${folder}`);
  await installInto(folder, PACKAGES);
  const arch = process.platform === 'darwin' ? 'universal' : process.arch;
  for (const platform of PLATFORMS) {
    if (platform === `${process.platform}-${arch}`) continue;
    await rm(join(folder, 'node_modules', 'webgpu', 'dist', platform), { recursive: true, force: true });
  }
  return folder;
}
