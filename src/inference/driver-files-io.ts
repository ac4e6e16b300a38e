/** Finds out, without loading anything large, whether the libraries and drivers that execution providers need are installed. */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type Obstacle, obstacle } from '../core/found.ts';
import { hasNvidiaDriver } from '../core/machine/nvidia-driver-io.ts';

export function absentFiles(folder: string, names: readonly string[]): string[] {
  return names.filter((name) => !existsSync(join(folder, name)));
}

export interface LinkedLibrary {
  readonly name: string;
  /** Whether the system's loader finds it. */
  readonly isThere: boolean;
}

/** The libraries that a library links to; none where the system's loader cannot be asked. */
export function linkedLibraries(path: string): LinkedLibrary[] {
  try {
    const lines = execFileSync('ldd', [path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return Array.from(lines.matchAll(/^\s*(\S+) => (not found)?/gm), ([, name = '', missing]) => ({
      name,
      isThere: missing === undefined,
    }));
  } catch {
    return [];
  }
}

/** Which releases libraries are for, read from the names of those that they link to: `CUDA 12 and cuDNN 9`. */
export function cudaReleases(linked: readonly LinkedLibrary[]): string {
  const releaseOf = (pattern: RegExp) => linked.map(({ name }) => pattern.exec(name)?.[1]).find(Boolean) ?? '';
  const parts = [
    ['CUDA', releaseOf(/^lib(?:cudart|cublas|cublasLt|curand)\.so\.(\d+)/)],
    ['cuDNN', releaseOf(/^libcudnn\w*\.so\.(\d+)/)],
    ['TensorRT', releaseOf(/^libnvinfer\w*\.so\.(\d+)/)],
  ] as const;
  const known = parts.filter(([name, release]) => release !== '' || name !== 'TensorRT');
  return known
    .map(([name, release]) => `${name} ${release}`.trimEnd())
    .join(', ')
    .replace(/, ([^,]*)$/, ' and $1');
}

/** What keeps Vulkan from working on Linux; elsewhere the GPU's driver belongs to the system. */
export function vulkanObstacle(): Obstacle | undefined {
  if (process.platform !== 'linux') return undefined;
  if (!canLoad('libvulkan.so.1')) {
    return obstacle(
      'the Vulkan loader libvulkan.so.1 is not there',
      'apt-get install libvulkan1, or as the system calls it',
    );
  }
  const chosen = process.env['VK_DRIVER_FILES'] || process.env['VK_ICD_FILENAMES'];
  if (chosen) {
    const missing = chosen.split(delimiter).filter((path) => !existsSync(path));
    if (missing.length < chosen.split(delimiter).length) return undefined;
    return obstacle(`VK_DRIVER_FILES names ${missing.join(', ')}, which is not there`, 'unset it, or correct it');
  }
  const folders = manifestFolders();
  if (folders.some((folder) => listFolder(folder).some((name) => name.endsWith('.json')))) {
    if (hasGpuDevice()) return undefined;
    return obstacle(
      'there is no GPU (nothing in /dev/dri, no /dev/nvidiactl or /dev/dxg): Vulkan would compute on the CPU',
      'use --ep cpu; to take a software device, name its driver: VK_DRIVER_FILES=/path/to/icd.json; in a container, pass the GPU on',
    );
  }
  return obstacle(
    `there is no Vulkan driver (no manifest in ${folders.join(', ')})`,
    "install the GPU's driver with its Vulkan part (Debian: mesa-vulkan-drivers, or NVIDIA's); vulkaninfo --summary should list the GPU",
  );
}

/** What a GPU is to the kernel. */
function hasGpuDevice(): boolean {
  return hasNvidiaDriver() || listFolder('/dev/dri').some((name) => name.startsWith('renderD'));
}

/** Where the Vulkan loader looks for manifests of drivers. */
function manifestFolders(): string[] {
  const { XDG_DATA_DIRS: data, XDG_CONFIG_DIRS: config, XDG_DATA_HOME: home } = process.env;
  const roots = [
    ...(config || '/etc/xdg').split(delimiter),
    '/etc',
    ...(data || '/usr/local/share:/usr/share').split(delimiter),
    home || join(homedir(), '.local', 'share'),
  ];
  return roots.map((root) => join(root, 'vulkan', 'icd.d'));
}

function listFolder(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : [];
}

/** Whether the system's loader finds a library. Node refuses what is no addon of its own, but only after it has been found. */
function canLoad(library: string): boolean {
  try {
    process.dlopen({ exports: {} }, library);
    return true;
  } catch (error) {
    return !(error instanceof Error && error.message.includes('cannot open shared object file'));
  }
}
