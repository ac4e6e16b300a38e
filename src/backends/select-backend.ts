/** Chooses the tfjs backend that training runs on. */

import { availableParallelism } from 'node:os';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { BnnError } from '../errors.ts';
import { BACKEND_NAMES, type BackendName } from './backend-names.ts';
import { registerCpuBackend } from './cpu/register.ts';
import { NativeBackend } from './native/backend.ts';
import { registerNativeBackend } from './native/register.ts';
import type { StepRecorder } from './step-recorder.ts';
import { loadTensorflow } from './tensorflow/load.ts';
import { CommandRecorder } from './webgpu/command-recorder.ts';
import { loadWebgpu } from './webgpu/load.ts';
import { multiplyAddPeak } from './webgpu/peak.ts';

/** What the native backend's thread pool takes. */
const MAX_THREADS = 64;

export interface BackendMemory {
  /** Bytes that tensors hold now. */
  readonly bytesInUse: number;
  /** The highest bytesInUse so far; equal to bytesInUse where the backend does not count. */
  readonly peakBytes: number;
}

export interface SelectedBackend {
  readonly name: Exclude<BackendName, 'auto'>;
  /** One line for people, e.g. "native avx512, 2 threads". */
  readonly description: string;
  /** Why `auto` chose it; not there when it was asked for. */
  readonly reason?: string;
  readonly threads: number;
  /** The instruction set of the kernels, where we choose it. */
  readonly isa: string | null;
  /** Whether it computes on a GPU. */
  readonly isGpu: boolean;
  memory(): BackendMemory;
  /** Gflop/s of float32 multiply-adds in registers, where it can be measured; takes some milliseconds. */
  multiplyAddPeak?(): Promise<number>;
  /** Where the commands of a training step can be recorded and run again. */
  readonly recorder?: StepRecorder;
}

export interface BackendOptions {
  /** Threads of the native backend; all processors when not given. */
  readonly threads?: number | undefined;
}

/**
 * Makes a backend the current one of tfjs and waits until it is ready. `auto` is tensorflow with a GPU, else webgpu with a
 * real one, else native, else tensorflow on the CPU; `cpu` is slow and used on request only.
 *
 * @throws {BnnError} E_BACKEND when the backend does not work here, with what to install; E_USAGE for a bad name or thread count.
 */
export async function selectBackend(name: BackendName, options: BackendOptions = {}): Promise<SelectedBackend> {
  const threads = options.threads ?? Math.min(availableParallelism(), MAX_THREADS);
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new BnnError('E_USAGE', `threads is ${threads}, expected an integer from 1 to ${MAX_THREADS}`);
  }
  switch (name) {
    case 'auto':
      return await selectAutomatically(threads);
    case 'native':
      return await selectNative(threads);
    case 'tensorflow':
      return await selectTensorflow(threads);
    case 'cpu':
      registerCpuBackend();
      await activate('cpu');
      return {
        name: 'cpu',
        description: 'cpu, plain JavaScript (slow)',
        threads: 1,
        isa: null,
        isGpu: false,
        memory: engineMemory,
      };
    case 'webgpu':
      return await selectWebgpu();
    default:
      name satisfies never;
      throw new BnnError('E_USAGE', `unknown backend '${String(name)}'`, {
        hint: `one of ${BACKEND_NAMES.join(', ')}`,
      });
  }
}

async function selectAutomatically(threads: number): Promise<SelectedBackend> {
  const tensorflow = await loadTensorflow(threads);
  if (tensorflow.ok && tensorflow.hasGpu) {
    return chosen(await selectTensorflow(threads), 'TensorFlow found a GPU');
  }
  const webgpu = await loadWebgpu();
  if (webgpu.ok && !webgpu.isSoftware) return chosen(await selectWebgpu(), 'WebGPU found a GPU');
  const why = `tensorflow: ${tensorflow.ok ? 'CPU only' : tensorflow.reason}; webgpu: ${webgpu.ok ? `${webgpu.device} computes on the CPU` : webgpu.reason}`;
  const noGpu = `no GPU found (${why})`;
  const native = registerNativeBackend();
  if (native.ok) return chosen(await selectNative(threads), noGpu);
  if (tensorflow.ok) return chosen(await selectTensorflow(threads), `${noGpu}, and ${native.reason}`);
  throw new BnnError('E_BACKEND', `no fast backend works here: ${native.reason}; ${noGpu}`, {
    hint: `${native.hint}; or ${tensorflow.hint}; or --backend cpu, which is slow`,
  });
}

/** The description gets the short form of the reason, up to its details. */
function chosen(selected: SelectedBackend, reason: string): SelectedBackend {
  return { ...selected, description: `${selected.description} (${reason.split(' (')[0]})`, reason };
}

async function selectWebgpu(): Promise<SelectedBackend> {
  const loaded = await loadWebgpu();
  if (!loaded.ok) {
    throw new BnnError('E_BACKEND', `the webgpu backend does not work here: ${loaded.reason}`, { hint: loaded.hint });
  }
  await activate('webgpu');
  const { backend, device, isSoftware } = loaded;
  return {
    name: 'webgpu',
    description: `webgpu, ${device}${isSoftware ? ' (software, slow)' : ''}`,
    threads: 1,
    isa: null,
    isGpu: !isSoftware,
    multiplyAddPeak: () => multiplyAddPeak(backend),
    // Buffers of disposed tensors stay allocated for the next ones, so what is allocated is the peak.
    memory: () => ({
      bytesInUse: backend.bufferManager.numBytesUsed,
      peakBytes: backend.bufferManager.numBytesAllocated,
    }),
    recorder: new CommandRecorder(backend),
  };
}

async function selectNative(threads: number): Promise<SelectedBackend> {
  const registration = registerNativeBackend();
  if (!registration.ok) {
    throw new BnnError('E_BACKEND', `the native backend does not work here: ${registration.reason}`, {
      hint: registration.hint,
    });
  }
  await activate('native');
  const { addon } = registration;
  addon.setThreads(threads);
  const started = addon.startThreads();
  const isa = addon.isa();
  const backend = tf.backend();
  if (!(backend instanceof NativeBackend)) throw new Error('internal: the current backend is not the native one');
  return {
    name: 'native',
    description: `native ${isa}, ${started} thread${started === 1 ? '' : 's'}${
      started < threads ? ` instead of ${threads}: the system allows no more` : ''
    }`,
    threads: started,
    isa,
    isGpu: false,
    multiplyAddPeak: () => Promise.resolve(addon.multiplyAddPeak()),
    memory: () => {
      const { peakBytes } = backend.poolStatistics();
      return { bytesInUse: tf.memory().numBytes, peakBytes: Math.max(peakBytes, tf.memory().numBytes) };
    },
  };
}

async function selectTensorflow(threads: number): Promise<SelectedBackend> {
  const loaded = await loadTensorflow(threads);
  if (!loaded.ok) {
    throw new BnnError('E_BACKEND', `the tensorflow backend does not work here: ${loaded.reason}`, {
      hint: loaded.hint,
    });
  }
  await activate('tensorflow');
  const device = loaded.hasGpu ? 'GPU' : 'CPU';
  return {
    name: 'tensorflow',
    description: `tensorflow ${device} (${loaded.package})`,
    threads,
    isa: null,
    isGpu: loaded.hasGpu,
    memory: engineMemory,
  };
}

async function activate(name: string): Promise<void> {
  const isSet = await tf.setBackend(name);
  if (!isSet) throw new BnnError('E_BACKEND', `tfjs could not initialise its backend '${name}'`);
  await tf.ready();
}

function engineMemory(): BackendMemory {
  const { numBytes } = tf.memory();
  return { bytesInUse: numBytes, peakBytes: numBytes };
}
