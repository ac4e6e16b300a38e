/** A session over the C interface of onnxruntime: like the stock one, and able to register our operator library. */

import { requireFound } from '../core/found.ts';
import { isOutOfThreads, outOfThreads } from '../core/machine/scarce-threads.ts';
import { type Dtype, fromBytes, type Tensor } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import { DTYPE_CODES, dtypeOfCode } from '../graph/dtype-code.ts';
import { decodeModel } from '../onnx/decode-model.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import { readModel } from '../onnx/model-io.ts';
import { noFastStem } from '../rewriting/layers/float-stem.ts';
import type { StemOptions } from './chain-nodes.ts';
import { messageOf } from './error-text.ts';
import { fuseChains } from './fuse-chains.ts';
import {
  findOpsLibrary,
  loadOrtAddon,
  type OrtBinding,
  type OrtFeed,
  type OrtHandle,
  type OrtSettings,
  type OrtValueInfo,
} from './native-addon.ts';
import type { ExecutionProvider } from './provider.ts';
import {
  assertRegularFile,
  explainLoadFailure,
  REST_BETWEEN_RUNS,
  type RunOutput,
  type Session,
  type SessionOptions,
  signatureOf,
  type TensorInfo,
} from './session.ts';
import { SessionLifetime } from './session-lifetime.ts';
import { affordableThreads } from './session-threads.ts';

/** What else a chain takes. */
const IN_ONNXRUNTIME =
  'behind it binary convolutions alone, and pictures of a known size; --engine wasm does without these two';

const OPTIMIZATION_LEVELS = { none: 0, basic: 1, extended: 2, all: 99 } as const;

export interface NativeSessionOptions extends SessionOptions {
  /** Registers the operator library, whose kernels then take the place of the function bodies in the file; off unless told. */
  readonly ops?: boolean | undefined;
  /** Puts binary layers that follow one another into one node, where `ops` is on; nodes then have other names. Off unless told. */
  readonly fuse?: boolean | undefined;
  /** Where `fuse` is on: the float stem by Winograd's filtering, equal but for rounding. Off unless told. */
  readonly fastStem?: boolean | undefined;
  /** Threads that run operators side by side; 0 (unless told) lets onnxruntime choose. */
  readonly interOpThreads?: number | undefined;
  /** `all` unless told. */
  readonly optimization?: keyof typeof OPTIMIZATION_LEVELS | undefined;
  /** Writes a profile: its path begins with this; see `endProfiling`. */
  readonly profilePrefix?: string | undefined;
  /** Configuration entries of onnxruntime, by key. */
  readonly config?: Readonly<Record<string, string>> | undefined;
}

/** Tensors by the names that the model gives them. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

/**
 * Loads a model in the onnxruntime that onnxruntime-node ships, on the CPU.
 *
 * @param model  path of an ONNX file, or its bytes.
 * @throws {BnnError} E_BACKEND when the addon or the operator library is missing or does not work; E_UNSUPPORTED for `fastStem` of a network
 *   without such a stem; else as `createSession`.
 */
export async function createNativeSession(
  model: string | Uint8Array,
  options: NativeSessionOptions = {},
): Promise<NativeSession> {
  const { ep = 'cpu', verbose = false, ops = false, optimization = 'all' } = options;
  const at = options.at ?? (typeof model === 'string' ? model : 'model');
  if (ep !== 'cpu') {
    throw new BnnError('E_UNSUPPORTED', `our session for onnxruntime runs on cpu, not on ${ep}`, { at });
  }
  if (options.fastStem === true && !(ops && options.fuse === true))
    throw new Error('internal: a fast stem without chains');
  const binding = requireFound(loadOrtAddon());
  const library = ops ? requireFound(findOpsLibrary()) : undefined;
  if (typeof model === 'string') await assertRegularFile(model);
  const settings: OrtSettings = {
    runtime: binding.runtime,
    model: ops && options.fuse === true ? await fusedModel(model, at, stemOptions(binding, options)) : model,
    intraOpThreads: affordableThreads(options.threads ?? 0),
    interOpThreads: options.interOpThreads ?? 0,
    optimizationLevel: OPTIMIZATION_LEVELS[optimization],
    logSeverity: verbose ? 2 : 4,
    ...(library === undefined ? {} : { opsLibrary: library }),
    ...(options.profilePrefix === undefined ? {} : { profilePrefix: options.profilePrefix }),
    config: { ...(options.restBetweenRuns === true ? { [REST_BETWEEN_RUNS]: '1' } : {}), ...options.config },
  };
  try {
    return new NativeSession(binding, await binding.addon.create(settings), at, ops);
  } catch (cause) {
    throw explainCreateFailure(cause, at);
  }
}

/** Float stems are the same where onnxruntime's convolutions and our kernels both use vectors of 16 floats, 8-bit ones on any processor of its kind. */
function stemOptions(
  { addon }: OrtBinding,
  { optimization = 'all', fastStem = false }: NativeSessionOptions,
): StemOptions {
  const row =
    process.arch === 'x64' && optimization === 'all' ? addon.popcountRow(process.env['BNN_KERNEL'] ?? '') : '';
  return { stems: row.startsWith('avx512'), int8Stems: row !== '' && row !== 'scalar', fastStems: fastStem };
}

/** What a session with `ops` and `fuse` gives onnxruntime. */
export async function modelForOps(
  model: Uint8Array,
  options: Pick<NativeSessionOptions, 'fastStem' | 'optimization'>,
): Promise<Uint8Array> {
  const fused = await fusedModel(model, 'model', stemOptions(requireFound(loadOrtAddon()), options));
  return typeof fused === 'string' ? model : fused;
}

/**
 * The model with its chains of layers, or as it is where it has none or is not for this project to read.
 *
 * @throws {BnnError} E_UNSUPPORTED where a fast stem was asked for and there is none.
 */
async function fusedModel(model: string | Uint8Array, at: string, stems: StemOptions): Promise<string | Uint8Array> {
  try {
    const read = typeof model === 'string' ? await readModel(model) : decodeModel(model);
    const { chains, fastStems } = fuseChains(read, stems);
    if (stems.fastStems === true && fastStems === 0) throw noFastStem(at, IN_ONNXRUNTIME);
    return chains > 0 ? encodeModel(read) : model;
  } catch (error) {
    if (error instanceof BnnError && stems.fastStems !== true) return model;
    throw error;
  }
}

/** The word that the addon puts on a failure: see `OrtAddon`. */
function failureOf(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}

function explainCreateFailure(cause: unknown, at: string): BnnError {
  switch (failureOf(cause)) {
    case 'model':
      return explainLoadFailure(cause, at, 'cpu');
    case 'ops':
      return new BnnError('E_BACKEND', `the operator library does not work here: ${messageOf(cause)}`, {
        at,
        hint: 'rebuild it (bnn setup native), or use --ops off',
        cause,
      });
    default:
      if (isOutOfThreads(cause)) return outOfThreads('a session of onnxruntime', cause);
      return new BnnError('E_BACKEND', `onnxruntime cannot make a session: ${messageOf(cause)}`, { at, cause });
  }
}

export class NativeSession implements Session {
  readonly at: string;
  readonly ep: ExecutionProvider = 'cpu';
  readonly runtime: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly placement = null;
  /** Whether the operator library is registered. */
  readonly hasOps: boolean;
  readonly #binding: OrtBinding;
  readonly #handle: OrtHandle;
  readonly #lifetime: SessionLifetime;

  /** Use `createNativeSession`. */
  constructor(binding: OrtBinding, handle: OrtHandle, at: string, hasOps: boolean) {
    this.#binding = binding;
    this.#handle = handle;
    this.at = at;
    this.#lifetime = new SessionLifetime(at);
    this.hasOps = hasOps;
    this.runtime = `onnxruntime ${binding.version} of onnxruntime-node`;
    this.inputs = binding.addon.inputs(handle).map(describe);
    this.outputs = binding.addon.outputs(handle).map(describe);
  }

  /** Several runs may be under way at once. */
  async run(x: Float32Array, shape: readonly number[]): Promise<RunOutput> {
    const { input, output } = signatureOf(this, x, shape);
    const feed = { type: DTYPE_CODES.float32, shape, data: x };
    const [result] = await this.#guard(() =>
      this.#binding.addon.run(this.#handle, [input.name], [feed], [output.name]),
    );
    if (result === undefined) throw new Error('internal: no output');
    return { data: new Float32Array(result.data), shape: result.shape };
  }

  /**
   * Runs a model of any inputs and outputs. The data are copied, so they are the caller's again at once.
   *
   * @param outputs  names of the outputs that are wanted; all unless told.
   * @throws {BnnError} E_SHAPE when names, types or shapes are not the model's, E_BACKEND when onnxruntime fails.
   */
  async runTensors(feeds: NamedTensors, outputs?: readonly string[]): Promise<NamedTensors> {
    const names = outputs ?? this.outputs.map(({ name }) => name);
    this.#assertOutputs(names);
    const { names: inputNames, tensors } = this.#feedsOf(feeds);
    const results = await this.#guard(() => this.#binding.addon.run(this.#handle, inputNames, tensors, names));
    const entries = results.map(({ type, shape, data }, i): [string, Tensor] => {
      const name = names[i] ?? '';
      const dtype = dtypeOfCode(type);
      if (dtype === undefined) {
        throw new BnnError('E_UNSUPPORTED', `output ${name} has the element type ${type}`, { at: this.at });
      }
      return [name, fromBytes(dtype, shape, new Uint8Array(data), this.at)];
    });
    return Object.fromEntries(entries);
  }

  /**
   * Milliseconds of each of `runs` runs in a row with the same inputs, on one thread of Node's pool: nothing but onnxruntime is timed.
   *
   * @throws {BnnError} as `runTensors`.
   */
  async time(feeds: NamedTensors, runs: number): Promise<Float64Array> {
    const { names, tensors } = this.#feedsOf(feeds);
    const outputs = this.outputs.map(({ name }) => name);
    return await this.#guard(() => this.#binding.addon.time(this.#handle, names, tensors, outputs, runs));
  }

  /**
   * Ends profiling; returns the path of the profile, a JSON file for chrome://tracing.
   *
   * @throws {BnnError} E_BACKEND when the session has been disposed of.
   */
  endProfiling(): string {
    this.#lifetime.assertOpen();
    return this.#binding.addon.endProfiling(this.#handle);
  }

  dispose(): Promise<void> {
    return this.#lifetime.end(() => this.#binding.addon.dispose(this.#handle));
  }

  #feedsOf(feeds: NamedTensors): { names: string[]; tensors: OrtFeed[] } {
    const unknown = Object.keys(feeds).find((name) => this.inputs.every((input) => input.name !== name));
    const missing = this.inputs.find(({ name }) => feeds[name] === undefined);
    if (unknown !== undefined || missing !== undefined) {
      const found = unknown === undefined ? `input ${missing?.name} is missing` : `there is no input ${unknown}`;
      throw new BnnError('E_SHAPE', `${found}: the model takes ${this.inputs.map(({ name }) => name).join(', ')}`, {
        at: this.at,
      });
    }
    const tensors = Object.entries(feeds).map(([name, { dtype, shape, data }]): OrtFeed => {
      const input = this.inputs.find((candidate) => candidate.name === name);
      if (input?.dtype !== dtype) {
        throw new BnnError('E_SHAPE', `input ${name} is ${input?.dtype}, but ${dtype} was given`, { at: this.at });
      }
      return { type: DTYPE_CODES[dtype], shape, data };
    });
    return { names: Object.keys(feeds), tensors };
  }

  #assertOutputs(names: readonly string[]): void {
    const unknown = names.find((name) => this.outputs.every((output) => output.name !== name));
    if (unknown === undefined) return;
    throw new BnnError(
      'E_SHAPE',
      `there is no output ${unknown}: the model gives ${this.outputs.map(({ name }) => name).join(', ')}`,
      { at: this.at },
    );
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    this.#lifetime.assertOpen();
    try {
      return await this.#lifetime.during(work);
    } catch (cause) {
      const text = messageOf(cause);
      // onnxruntime checks sizes itself; so does the addon.
      const isShape = failureOf(cause) === 'usage' || /invalid dimensions|invalid rank/i.test(text);
      throw new BnnError(isShape ? 'E_SHAPE' : 'E_BACKEND', `onnxruntime failed: ${text}`, { at: this.at, cause });
    }
  }
}

function describe({ name, type, shape }: OrtValueInfo): TensorInfo {
  const dtype: Dtype | undefined = dtypeOfCode(type);
  return { name, dtype: dtype ?? (type === 0 ? 'not a tensor' : `element type ${type}`), shape };
}
