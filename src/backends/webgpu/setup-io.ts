/** Installs the packages of the webgpu backend and tries its device. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { requireFound } from '../../core/found.ts';
import { setupFolder } from '../../core/machine/peers-io.ts';
import type { Setup } from '../backend-facts.ts';
import { installInto } from '../install-peer-io.ts';
import { openWebgpu } from './open.ts';

/** The platform folders of the `webgpu` package that other machines need; together they are most of its size. */
const PLATFORMS = ['darwin-universal', 'linux-arm64', 'linux-x64', 'win32-arm64', 'win32-x64'];

const PACKAGES = ['@tensorflow/tfjs-backend-webgpu@4.22.0', 'webgpu@0.6.2'];

/**
 * Puts the packages into the folder where the backend looks for them, and tries the device.
 *
 * @throws {BnnError} E_BACKEND when npm cannot, or the device does not work.
 */
export async function setupWebgpu(onStage: (line: string) => void): ReturnType<Setup['run']> {
  const folder = setupFolder('webgpu');
  onStage(`installing ${PACKAGES.join(' and ')} into ${folder}`);
  await installInto(folder, PACKAGES);
  const arch = process.platform === 'darwin' ? 'universal' : process.arch;
  for (const platform of PLATFORMS) {
    if (platform === `${process.platform}-${arch}`) continue;
    await rm(join(folder, 'node_modules', 'webgpu', 'dist', platform), { recursive: true, force: true });
  }
  const loaded = await openWebgpu();
  const { detail } = requireFound(loaded, 'the webgpu backend does not work here');
  return { facts: { folder, description: detail }, text: `webgpu, ${detail}; packages in ${folder}` };
}
