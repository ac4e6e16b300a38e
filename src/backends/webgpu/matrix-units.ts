/**
 * Tensor cores, as Dawn's experimental subgroup matrices: who wants them, and what a device has. A group of threads that runs in step multiplies
 * two small matrices of float16 and adds float32.
 */

import { type Found, found, obstacle } from '../../core/found.ts';
import type { GpuAdapter } from './device.ts';
import { INTRINSICS, type MatrixOps } from './kernels/matrix-ops.ts';
import type { WebgpuBackend } from './webgpu-backend.ts';

/** C[m, n] += A[m, k] · B[k, n] at once. */
export interface MatrixUnits {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Threads that run in step. */
  readonly subgroup: number;
  /** Of a group of threads. */
  readonly workgroupBytes: number;
  readonly ops: MatrixOps;
}

export const MATRIX_VARIABLE = 'BNN_TENSOR_CORES';

/** What the kernels with subgroup matrices are written in. */
export const MATRIX_FEATURES = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'];

/** Toggles of Dawn: for features that are not finished, and for float16 on GPUs of NVIDIA, where it is off unless asked for. */
export const MATRIX_TOGGLES = 'allow_unsafe_apis,vulkan_enable_f16_on_nvidia';

export function wantsMatrixUnits(env: Readonly<Record<string, string | undefined>>): boolean {
  return !['', '0', undefined].includes(env[MATRIX_VARIABLE]);
}

/** One of what a device offers. */
interface Configuration {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** The largest that the kernels can use, or what is missing. */
export function findMatrixUnits({ features, info, limits }: GpuAdapter): Found<MatrixUnits> {
  const lack = (reason: string) => obstacle(`${MATRIX_VARIABLE} is set, but ${reason}`, `unset ${MATRIX_VARIABLE}`);
  const missing = MATRIX_FEATURES.filter((name) => !features.has(name));
  if (missing.length > 0) return lack(`the GPU or its driver does not offer ${missing.join(', ')}`);
  const [least, most] = [info['subgroupMinSize'], info['subgroupMaxSize']];
  if (least !== most || (most !== 32 && most !== 64)) {
    return lack(`threads of the GPU run in step by ${least} to ${most}, expected 32 or 64`);
  }
  const offered = [...((info['subgroupMatrixConfigs'] ?? []) as Iterable<Configuration>)];
  const [best] = offered
    .filter((config) => config.componentType === 'f16' && config.resultComponentType === 'f32')
    .filter(({ M, N, K }) => [M, N, K].every((size) => size === 8 || size === 16))
    .sort((a, b) => b.M * b.N * b.K - a.M * a.N * a.K);
  if (best === undefined) {
    const names = offered.map((c) => `${c.M}×${c.N}×${c.K} of ${c.componentType} to ${c.resultComponentType}`);
    return lack(`it multiplies ${names.join(', ') || 'no matrices'}, expected 8 or 16 on a side, of f16 to f32`);
  }
  const workgroupBytes = limits['maxComputeWorkgroupStorageSize'] ?? 16384;
  return found({ m: best.M, n: best.N, k: best.K, subgroup: most, workgroupBytes, ops: INTRINSICS });
}

const units = new WeakMap<WebgpuBackend, MatrixUnits>();

/** Those that kernels of the backend use; null for none. */
export function matrixUnitsOf(backend: WebgpuBackend): MatrixUnits | null {
  return units.get(backend) ?? null;
}

export function setMatrixUnits(backend: WebgpuBackend, given: MatrixUnits | null): void {
  if (given === null) units.delete(backend);
  else units.set(backend, given);
}
