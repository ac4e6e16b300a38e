/** Packages that are used when they are there: where they may lie, and how they are imported from there. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Packages that belong together have a folder of their own, so that npm does not remove one group for another. */
export type PeerGroup = 'tensorflow' | 'webgpu' | 'onnxruntime';

/** Both `src/core/machine` and `dist/core/machine` lie three levels below the package. */
const BESIDE_THE_BUILD = fileURLToPath(new URL('../../../build/peers', import.meta.url));

function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'bnn-toolchain', 'peers');
}

/** Where `bnn setup` installs a group: the first folder of `BNN_PEERS`, else the user's cache. */
export function setupFolder(group: PeerGroup): string {
  const [first] = chosenFolders();
  return join(first ?? cacheFolder(), group);
}

function chosenFolders(): string[] {
  return (process.env['BNN_PEERS'] ?? '').split(delimiter).filter((folder) => folder !== '');
}

/** The folders of a group besides the package's own dependencies. With `BNN_PEERS` only those that it names. */
function peerFolders(group: PeerGroup): string[] {
  const chosen = chosenFolders();
  const folders = chosen.length > 0 ? chosen : [BESIDE_THE_BUILD, cacheFolder()];
  return folders.map((folder) => join(folder, group)).filter((folder) => existsSync(folder));
}

/** Path of a package's entry: first among the project's own dependencies, then where `bnn setup` or a bundle put it. */
export function resolvePeer(group: PeerGroup, name: string): string | null {
  const origins = [import.meta.url, ...peerFolders(group).map((folder) => join(folder, 'package.json'))];
  for (const origin of origins) {
    try {
      return createRequire(origin).resolve(name);
    } catch {
      // Not there; the next one.
    }
  }
  return null;
}

/** Imports a package from wherever it lies; null where it is not installed. */
export async function importPeer(group: PeerGroup, name: string): Promise<unknown> {
  const path = resolvePeer(group, name);
  return path === null ? null : ((await import(pathToFileURL(path).href)) as unknown);
}

/** The same for packages that bring their own tfjs-core: it warns of everything that is registered a second time. */
export async function importQuietly(group: PeerGroup, name: string): Promise<unknown> {
  const { warn } = console;
  console.warn = () => {};
  try {
    return await importPeer(group, name);
  } finally {
    console.warn = warn;
  }
}
