/** onnxruntime, loaded when it is first needed, from the first package here that has one that works. */

import { createRequire } from 'node:module';
import type * as Ort from 'onnxruntime-node';
import { type Found, found, obstacle } from '../core/found.ts';
import { resolvePeer } from '../core/machine/peers-io.ts';
import { messageOf } from './error-text.ts';

/** In the order of preference: native code; the whole package for browsers; its CPU build alone, which our packages bring. */
const PACKAGES = ['onnxruntime-node', 'onnxruntime-web', '@bnn-toolchain/onnxruntime-wasm'] as const;
type PackageName = (typeof PACKAGES)[number];

export interface Onnxruntime {
  /** `onnxruntime-node`'s interface; without `listSupportedBackends` in the others. */
  readonly api: typeof Ort;
  /** The package that it is from. */
  readonly name: PackageName;
  readonly version: string;
  /** Whether it is native code; else WebAssembly on the CPU, on one thread. */
  readonly isNative: boolean;
  /** For people, e.g. `onnxruntime-node 1.30.0`. */
  readonly title: string;
}

const HINT = 'bnn setup onnxruntime';

let loaded: Found<Onnxruntime> | undefined;

/**
 * Loads onnxruntime once per process; a failure is returned, not thrown. The variable BNN_ONNXRUNTIME names the package to take it from.
 */
export function loadOnnxruntime(): Found<Onnxruntime> {
  loaded ??= load(process.env['BNN_ONNXRUNTIME'] ?? '');
  return loaded;
}

/** After something was installed. */
export function forgetOnnxruntime(): void {
  loaded = undefined;
}

function load(wanted: string): Found<Onnxruntime> {
  const names = PACKAGES.filter((name) => wanted === '' || name === wanted);
  if (names.length === 0) {
    return obstacle(`BNN_ONNXRUNTIME is '${wanted}', expected one of ${PACKAGES.join(', ')}`, 'unset BNN_ONNXRUNTIME');
  }
  const failures: string[] = [];
  for (const name of names) {
    const path = resolvePeer('onnxruntime', name);
    if (path === null) continue;
    try {
      return found(describe(name, createRequire(import.meta.url)(path) as typeof Ort));
    } catch (error) {
      failures.push(`${name} does not load: ${messageOf(error)}`);
    }
  }
  const reason = failures.length > 0 ? failures.join('; ') : `${wanted || 'onnxruntime'} is not installed`;
  return obstacle(reason, HINT);
}

function describe(name: PackageName, api: typeof Ort): Onnxruntime {
  const { versions, wasm } = api.env;
  const isNative = name === 'onnxruntime-node';
  const version = versions.node ?? versions.web ?? versions.common;
  // Its threads would keep the process alive.
  if (!isNative) wasm.numThreads = 1;
  const title = isNative ? `${name} ${version}` : `onnxruntime-web ${version} (WebAssembly, 1 thread)`;
  return { api, name, version, isNative, title };
}
