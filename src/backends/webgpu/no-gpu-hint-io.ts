/** What to do where WebGPU finds no GPU, by what lies on the machine. */

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** What is looked at. */
export interface Surroundings {
  readonly platform: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  exists(path: string): boolean;
}

const HERE: Surroundings = { platform: process.platform, env: process.env, exists: existsSync };

const LIBRARY_FOLDERS = [
  ...['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib', '/usr/local/lib'],
  ...['/lib/x86_64-linux-gnu', '/lib/aarch64-linux-gnu', '/usr/local/nvidia/lib64', '/usr/lib/wsl/lib'],
];
const MANIFEST_FOLDERS = ['/usr/share', '/etc', '/usr/local/share', '/usr/local/etc'].map(
  (root) => `${root}/vulkan/icd.d`,
);
const NATIVE = '; or use --backend native';

export function noGpuHint({ platform, env, exists }: Surroundings = HERE): string {
  if (platform !== 'linux') return `install the driver of the GPU${NATIVE}`;
  const folders = [...(env['LD_LIBRARY_PATH'] ?? '').split(delimiter).filter(Boolean), ...LIBRARY_FOLDERS];
  const hasLibrary = (name: string) => folders.some((folder) => exists(join(folder, name)));
  const isNvidia = ['/proc/driver/nvidia/version', '/dev/nvidiactl'].some(exists);
  const steps: string[] = [];
  if (!hasLibrary('libvulkan.so.1')) steps.push('install the Vulkan loader (Debian: apt-get install libvulkan1)');
  if (isNvidia) steps.push(...nvidiaSteps(env, exists, hasLibrary));
  const chosen = env['VK_DRIVER_FILES'] || env['VK_ICD_FILENAMES'];
  if (chosen && !chosen.split(delimiter).some(exists))
    steps.push(`VK_DRIVER_FILES names ${chosen}, which is not there`);
  if (steps.length === 0)
    steps.push("install the GPU's driver with its Vulkan part (Debian: mesa-vulkan-drivers; NVIDIA: libnvidia-gl)");
  return `${steps.join('; ')}; vulkaninfo --summary should list the GPU${NATIVE}`;
}

function nvidiaSteps(
  env: Surroundings['env'],
  exists: Surroundings['exists'],
  hasLibrary: (name: string) => boolean,
): string[] {
  const steps: string[] = [];
  if (!hasLibrary('libGLX_nvidia.so.0')) {
    const capabilities = env['NVIDIA_DRIVER_CAPABILITIES'];
    const given = capabilities === undefined ? '' : ` (it is ${capabilities})`;
    steps.push(
      `the NVIDIA driver is there without its Vulkan part: install libnvidia-gl of the same version (nvidia-smi shows it), in a container start it with NVIDIA_DRIVER_CAPABILITIES=all${given}`,
    );
  }
  if (!hasLibrary('libXext.so.6'))
    steps.push('install libXext, which the driver links to (Debian: apt-get install libxext6)');
  if (!MANIFEST_FOLDERS.some((folder) => exists(join(folder, 'nvidia_icd.json'))))
    steps.push('no nvidia_icd.json is where Vulkan looks: name it with VK_DRIVER_FILES=/path/to/nvidia_icd.json');
  if (steps.length === 0) steps.push('the Vulkan driver of NVIDIA is there but does not start');
  return steps;
}
