/** Which execution providers onnxruntime-node has here, and what each needs. */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Finding, findingOf, type Obstacle, obstacle } from '../core/found.ts';
import { hasNvidiaDriver } from '../core/machine/nvidia-driver-io.ts';
import { resolvePeer } from '../core/machine/peers-io.ts';
import { BnnError } from '../errors.ts';
import { absentFiles, cudaReleases, linkedLibraries, vulkanObstacle } from './driver-files-io.ts';
import { loadOnnxruntime, type Onnxruntime } from './onnxruntime.ts';

/** Execution providers of onnxruntime that this project drives. */
export const EXECUTION_PROVIDERS = ['cpu', 'cuda', 'tensorrt', 'webgpu', 'dml', 'coreml'] as const;
export type ExecutionProvider = (typeof EXECUTION_PROVIDERS)[number];

export type ProviderReport = Finding<ExecutionProvider>;

interface Needs {
  /** Where onnxruntime-node has it. */
  readonly platforms: string;
  /** Files beside onnxruntime's own library, which looks for them there only. */
  readonly files: readonly string[];
  /** What to check when a session with it cannot be made. */
  readonly hint: string;
  readonly driver?: () => Obstacle | undefined;
}

export const CUDA_FILES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'];
export const TENSORRT_FILE = 'libonnxruntime_providers_tensorrt.so';
const OR_CPU = 'or use --ep cpu';

const NEEDS: Readonly<Record<Exclude<ExecutionProvider, 'cpu'>, Needs>> = {
  cuda: {
    platforms: 'Linux on x64',
    files: CUDA_FILES,
    hint: `check the NVIDIA driver (nvidia-smi), the CUDA and cuDNN that it links to (bnn doctor), ${OR_CPU}`,
    driver: nvidiaObstacle,
  },
  tensorrt: {
    platforms: 'Linux on x64',
    // What TensorRT does not know runs on CUDA.
    files: [...CUDA_FILES, TENSORRT_FILE],
    hint: 'check the NVIDIA driver (nvidia-smi), CUDA, cuDNN and TensorRT (bnn doctor), or use --ep cuda',
    driver: nvidiaObstacle,
  },
  webgpu: {
    platforms: 'Linux on x64, macOS on arm64 and Windows',
    files: [],
    hint: `check the driver of the GPU (Linux: vulkaninfo --summary should list it), ${OR_CPU}`,
    driver: vulkanObstacle,
  },
  dml: { platforms: 'Windows', files: [], hint: `check the driver of the GPU, ${OR_CPU}` },
  coreml: { platforms: 'macOS on arm64', files: [], hint: `check the version of macOS, ${OR_CPU}` },
};

/** What to do when a provider that seems to be there fails. */
export function providerHint(name: ExecutionProvider): string | undefined {
  return name === 'cpu' ? undefined : NEEDS[name].hint;
}

/** Version of the onnxruntime here; `none` without one. */
export function onnxruntimeVersion(): string {
  const runtime = loadOnnxruntime();
  return runtime.ok ? runtime.value.version : 'none';
}

/** The onnxruntime here in words, or why there is none. */
export function describeOnnxruntime(): string {
  const runtime = loadOnnxruntime();
  return runtime.ok ? runtime.value.title : `none: ${runtime.reason} (${runtime.hint})`;
}

/** The folder of onnxruntime-node's libraries for this platform; null where it is not installed. */
function libraryFolder(): string | null {
  const main = resolvePeer('onnxruntime', 'onnxruntime-node');
  return main === null ? null : join(dirname(main), '..', 'bin', 'napi-v6', process.platform, process.arch);
}

/** Whether onnxruntime-node has a library for this platform; it has none for Intel Macs. */
export function hasLibraryHere(): boolean {
  const folder = libraryFolder();
  return folder !== null && existsSync(folder);
}

/** Says whether a provider, the libraries that it links to and the driver are there, without loading it. */
export function inspectProvider(name: ExecutionProvider): ProviderReport {
  const runtime = loadOnnxruntime();
  if (!runtime.ok) return findingOf(name, runtime);
  const version = runtime.value.title;
  if (name === 'cpu') return { name, works: true, detail: version };
  const lack = findObstacle(name, runtime.value);
  if (lack !== undefined) return findingOf(name, lack);
  const { files } = NEEDS[name];
  return { name, works: true, detail: files.length === 0 ? version : `${version} with ${files.at(-1)}` };
}

function findObstacle(
  name: Exclude<ExecutionProvider, 'cpu'>,
  { api, isNative, title }: Onnxruntime,
): Obstacle | undefined {
  const { platforms, files, driver } = NEEDS[name];
  if (!isNative) return obstacle(`${title} runs on cpu only`, 'bnn setup onnxruntime installs the native one');
  const offered = api.listSupportedBackends().map((backend) => backend.name);
  if (!offered.includes(name)) {
    const here = `${process.platform} on ${process.arch}`;
    const reason = `onnxruntime-node has ${name} for ${platforms} only; for ${here} it has ${offered.join(', ')}`;
    return { ...obstacle(reason, `use one of --ep ${offered.join(' | ')}`), isElsewhere: true };
  }
  const folder = libraryFolder() ?? '';
  const absent = absentFiles(folder, files);
  if (absent.length > 0) {
    const reason = `onnxruntime-node was installed without ${absent.join(', ').replace(/, ([^,]*)$/, ' and $1')}`;
    return obstacle(reason, 'bnn setup cuda; without internet, bnn setup cuda --from FILE');
  }
  const linked = files.flatMap((file) => linkedLibraries(join(folder, file)));
  const missing = linked.filter(({ isThere }) => !isThere).map(({ name: library }) => library);
  if (missing.length > 0) {
    const reason = `${files.at(-1)} needs ${[...new Set(missing)].join(', ')}, which the system does not find`;
    return obstacle(reason, `install ${cudaReleases(linked)}, or put their folders on LD_LIBRARY_PATH`);
  }
  return driver?.();
}

function nvidiaObstacle(): Obstacle | undefined {
  if (hasNvidiaDriver()) return undefined;
  return obstacle(
    'there is no NVIDIA driver (no /proc/driver/nvidia/version, /dev/nvidiactl or /dev/dxg)',
    'install the NVIDIA driver: nvidia-smi should list the GPU; in a container, pass the GPU on (docker run --gpus all)',
  );
}

/**
 * Makes sure that what a provider needs is there.
 *
 * @throws {BnnError} E_BACKEND with the reason and what to install.
 */
export function assertProvider(name: ExecutionProvider): void {
  const { works, detail, hint } = inspectProvider(name);
  if (!works) throw new BnnError('E_BACKEND', `execution provider ${name} is not available: ${detail}`, { hint });
}

/** Of NVIDIA's libraries, which read it when they are loaded. */
const TF32 = 'NVIDIA_TF32_OVERRIDE';

/**
 * Turns TF32 off where the user has not said otherwise: it rounds the stem of a network to 10 bits, which flips signs behind it, so
 * that nothing could be compared.
 */
export function forbidTf32(name: ExecutionProvider): void {
  if (name === 'cuda' || name === 'tensorrt') process.env[TF32] ??= '0';
}

/** How a provider computes in float32, where there is something to say. */
export function precisionNote(name: ExecutionProvider): string | undefined {
  if (name !== 'cuda' && name !== 'tensorrt') return undefined;
  const value = process.env[TF32] ?? '0';
  return value === '0'
    ? `${name} computes without TF32 (${TF32}=0); ${TF32}=1 would allow it`
    : `${name} may compute with TF32, which flips signs (${TF32}=${value})`;
}
