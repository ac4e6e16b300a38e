/** Which execution providers onnxruntime-node has here. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { BnnError } from '../errors.ts';

/** Execution providers of onnxruntime that this project drives. */
export const EXECUTION_PROVIDERS = ['cpu', 'cuda'] as const;
export type ExecutionProvider = (typeof EXECUTION_PROVIDERS)[number];

export interface ProviderReport {
  readonly name: ExecutionProvider;
  readonly works: boolean;
  /** What is there, or why it does not work. */
  readonly detail: string;
  readonly hint?: string;
}

const CUDA_HINT = 'bnn setup cuda (needs internet)';

/** Version of the onnxruntime inside onnxruntime-node. */
export function onnxruntimeVersion(): string {
  return ort.env.versions.node ?? ort.env.versions.common;
}

/** The folder of onnxruntime's native libraries for this platform. */
function libraryFolder(): string {
  const main = createRequire(import.meta.url).resolve('onnxruntime-node');
  return join(dirname(main), '..', 'bin', 'napi-v6', process.platform, process.arch);
}

/**
 * Says whether a provider's files are there, without loading them.
 *
 * onnxruntime looks for provider libraries beside its own library only.
 */
export function inspectProvider(name: ExecutionProvider): ProviderReport {
  switch (name) {
    case 'cpu':
      return { name, works: true, detail: `onnxruntime ${onnxruntimeVersion()}` };
    case 'cuda': {
      if (process.platform !== 'linux' || process.arch !== 'x64') {
        const detail = `onnxruntime-node has CUDA for Linux on x64 only, this is ${process.platform} on ${process.arch}`;
        return { name, works: false, detail, hint: 'use --ep cpu' };
      }
      const library = 'libonnxruntime_providers_cuda.so';
      if (!existsSync(join(libraryFolder(), library))) {
        return { name, works: false, detail: `onnxruntime-node was installed without ${library}`, hint: CUDA_HINT };
      }
      return { name, works: true, detail: `onnxruntime ${onnxruntimeVersion()} with ${library}` };
    }
    default:
      return name satisfies never;
  }
}

/**
 * Makes sure that a provider's files are there.
 *
 * @throws {BnnError} E_BACKEND with the reason and what to install.
 */
export function assertProvider(name: ExecutionProvider): void {
  const { works, detail, hint } = inspectProvider(name);
  if (!works) throw new BnnError('E_BACKEND', `execution provider ${name} is not available: ${detail}`, { hint });
}
