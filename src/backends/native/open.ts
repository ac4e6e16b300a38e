/** The `native` backend as a backend of training. */

import * as tf from '@tensorflow/tfjs-core';
import { type Found, found } from '../../core/found.ts';
import { type LoadedBackend, type RunningBackend, threadsInWords } from '../backend.ts';
import { addonOrigin, describeAddon, type ProgramAddon } from './addon.ts';
import { NativeBackend } from './backend.ts';
import { NATIVE_KERNELS } from './kernels/table.ts';
import { NativeRecorder } from './native-recorder.ts';
import { registerNativeBackend } from './register.ts';

export function openNative(): Found<LoadedBackend> {
  const registered = registerNativeBackend();
  if (!registered.ok) return registered;
  const addon = registered.value;
  return found({
    isGpu: false,
    device: `the processor, ${addon.isa()}`,
    detail: describeAddon(addon),
    kernels: NATIVE_KERNELS,
    start: (threads) => start(addon, threads),
  });
}

function start(addon: ProgramAddon, threads: number): RunningBackend {
  addon.setThreads(threads);
  const started = addon.startThreads();
  const isa = addon.isa();
  const backend = tf.backend();
  if (!(backend instanceof NativeBackend)) throw new Error('internal: the current backend is not the native one');
  return {
    description: `native ${isa}, ${threadsInWords(started, threads)}, ${addonOrigin()}`,
    threads: started,
    isa,
    fasterInBf16: addon.fasterInBf16(),
    recorder: new NativeRecorder(backend, addon),
    multiplyAddPeak: () => Promise.resolve(addon.multiplyAddPeak()),
    memory: () => {
      const { peakBytes } = backend.poolStatistics();
      return { bytesInUse: tf.memory().numBytes, peakBytes: Math.max(peakBytes, tf.memory().numBytes) };
    },
  };
}
