/** Watches the kernels of a tfjs backend: how often each runs, for how long, and when. */

import { performance } from 'node:perf_hooks';
import * as tf from '@tensorflow/tfjs-core';

export interface KernelCall {
  readonly name: string;
  /** Shape of the first output, `128x32x32x16`. */
  readonly shape: string;
  /** On the clock of `performance.now()`. */
  readonly beginMs: number;
  readonly durationMs: number;
}

/**
 * Replaces every kernel of a backend by one that also notes its time; kernels called by kernels count once, as the outer one. Only
 * for backends whose kernels have finished when they return.
 */
export class KernelTrace {
  /** Calls since the last `take`. */
  #calls: KernelCall[] = [];
  #depth = 0;
  #totalMs = 0;
  readonly #originals: tf.KernelConfig[] = [];

  constructor(backendName: string) {
    for (const config of tf.getKernelsForBackend(backendName)) {
      this.#originals.push(config);
      tf.unregisterKernel(config.kernelName, backendName);
      tf.registerKernel({ ...config, kernelFunc: (call) => this.#run(config, call) });
    }
  }

  /** Milliseconds in kernels so far. */
  get totalMs(): number {
    return this.#totalMs;
  }

  /** The calls since the last time this was called. */
  take(): KernelCall[] {
    const calls = this.#calls;
    this.#calls = [];
    return calls;
  }

  /** Puts the kernels back. */
  dispose(): void {
    for (const config of this.#originals) {
      tf.unregisterKernel(config.kernelName, config.backendName);
      tf.registerKernel(config);
    }
    this.#originals.length = 0;
  }

  #run(config: tf.KernelConfig, call: Parameters<tf.KernelFunc>[0]): tf.TensorInfo | tf.TensorInfo[] {
    if (this.#depth > 0) return config.kernelFunc(call);
    this.#depth++;
    const beginMs = performance.now();
    try {
      const result = config.kernelFunc(call);
      const durationMs = performance.now() - beginMs;
      this.#totalMs += durationMs;
      const first = Array.isArray(result) ? result[0] : result;
      this.#calls.push({ name: config.kernelName, shape: first?.shape.join('x') ?? '', beginMs, durationMs });
      return result;
    } finally {
      this.#depth--;
    }
  }
}
