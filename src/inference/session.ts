/** Running a model with onnxruntime. */

import { stat } from 'node:fs/promises';
import type * as ort from 'onnxruntime-node';
import { readRegularFile } from '../core/files/regular-file-io.ts';
import { requireFound } from '../core/found.ts';
import { isOutOfThreads, outOfThreads } from '../core/machine/scarce-threads.ts';
import { elementCount } from '../core/tensors/shape.ts';
import { BnnError, fromSystemError } from '../errors.ts';
import { messageOf } from './error-text.ts';
import { loadOnnxruntime, type Onnxruntime } from './onnxruntime.ts';
import { assertPlacement, type Placement } from './placement.ts';
import { ProfileFolder } from './profile-folder-io.ts';
import { assertProvider, type ExecutionProvider, forbidTf32, providerHint } from './provider.ts';
import type { ProviderOptions } from './provider-options.ts';
import { SessionLifetime } from './session-lifetime.ts';
import { affordableThreads } from './session-threads.ts';

export interface ProviderChoice {
  /** `cpu` unless told. Where onnxruntime runs a node on the CPU instead, the first run fails. */
  readonly ep?: ExecutionProvider | undefined;
  readonly epOptions?: ProviderOptions | undefined;
  /** Lets nodes that the provider does not have run on the CPU; off unless told. */
  readonly allowCpuFallback?: boolean | undefined;
}

export interface SessionOptions extends ProviderChoice {
  /** Threads inside an operator; 0 (unless told) lets onnxruntime choose. */
  readonly threads?: number | undefined;
  /** Lets onnxruntime print its warnings on stderr. */
  readonly verbose?: boolean | undefined;
  /**
   * Threads of onnxruntime sleep as soon as a run ends, instead of waiting for the next one busily, which takes tens of milliseconds of a core from
   * whatever else the process does: for sessions that take turns with other work. Off unless told.
   */
  readonly restBetweenRuns?: boolean | undefined;
  /** What to call the model in messages, when it is given as bytes. */
  readonly at?: string | undefined;
}

export interface TensorInfo {
  readonly name: string;
  readonly dtype: string;
  /** Sizes; a text is a symbolic size. */
  readonly shape: readonly (number | string)[];
}

export interface RunOutput {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** A loaded model. */
export interface Session {
  readonly at: string;
  readonly ep: ExecutionProvider;
  /** What runs it, for people, e.g. `onnxruntime-node 1.30.0`. */
  readonly runtime: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Where the nodes ran; null on `cpu`, where there is nothing else, and before the first run. */
  readonly placement: Placement | null;
  /**
   * Runs a model of one float32 input and takes its first output.
   *
   * @param x      row-major elements of `shape`; copied, so they are the caller's again at once.
   * @throws {BnnError} E_SHAPE when the model does not take that shape, E_UNSUPPORTED for several inputs or other types,
   *   E_BACKEND when a node ran on another provider than the one asked for, or the session has been disposed of.
   */
  run(x: Float32Array, shape: readonly number[]): Promise<RunOutput>;
  /** Frees the session once the runs that are under way have ended; harmless when repeated. */
  dispose(): Promise<void>;
}

/** What onnxruntime calls `restBetweenRuns`. */
export const REST_BETWEEN_RUNS = 'session.force_spinning_stop';

const WARNING = 2;
const ERROR = 3;
const FATAL = 4;

/**
 * Loads a model.
 *
 * @param model  path of an ONNX file, or its bytes.
 * @throws {BnnError} E_NOT_FOUND for a missing file, E_FORMAT for what is no ONNX file, E_UNSUPPORTED for operators that
 *   onnxruntime lacks, E_BACKEND when the execution provider does not work here.
 */
export async function createSession(model: string | Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const { ep = 'cpu', verbose = false } = options;
  const at = options.at ?? (typeof model === 'string' ? model : 'model');
  const runtime = requireFound(loadOnnxruntime());
  assertProvider(ep);
  forbidTf32(ep);
  if (typeof model === 'string') await assertRegularFile(model);
  const threads = affordableThreads(options.threads ?? 0);
  // onnxruntime prints what it also throws.
  runtime.api.env.logLevel = verbose ? 'warning' : 'fatal';
  // The profile of the first run tells which provider ran each node; onnxruntime says it nowhere else.
  const profile = ep === 'cpu' ? null : new ProfileFolder();
  const settings: ort.InferenceSession.SessionOptions = {
    executionProviders: providersOf(ep, options.epOptions),
    logSeverityLevel: verbose ? WARNING : ep === 'cpu' ? FATAL : ERROR,
    ...(threads > 0 ? { intraOpNumThreads: threads } : {}),
    ...(options.restBetweenRuns === true ? { extra: { [REST_BETWEEN_RUNS]: '1' } } : {}),
    ...(profile === null ? {} : { enableProfiling: true, profileFilePrefix: profile.prefix }),
  };
  try {
    const session = await load(runtime, model, settings);
    return new OnnxruntimeSession(runtime, session, at, {
      ep,
      profile,
      allowCpuFallback: options.allowCpuFallback === true,
    });
  } catch (cause) {
    profile?.remove();
    throw explainLoadFailure(cause, at, ep);
  }
}

async function load(
  { api, isNative }: Onnxruntime,
  model: string | Uint8Array,
  settings: ort.InferenceSession.SessionOptions,
): Promise<ort.InferenceSession> {
  if (typeof model !== 'string') return api.InferenceSession.create(model, settings);
  if (isNative) return api.InferenceSession.create(model, settings);
  // The one for browsers would fetch a path.
  return api.InferenceSession.create(await readRegularFile(model, { expected: 'an ONNX file' }), settings);
}

/** In the order of preference; onnxruntime itself puts the CPU last. */
function providersOf(
  ep: ExecutionProvider,
  options: ProviderOptions = {},
): ort.InferenceSession.ExecutionProviderConfig[] {
  const chosen = { ...options, name: ep };
  return ep === 'tensorrt' ? [chosen, { ...options, name: 'cuda' }] : [chosen];
}

/** @throws {BnnError} E_NOT_FOUND, E_IO. */
export async function assertRegularFile(path: string): Promise<void> {
  try {
    if ((await stat(path)).isFile()) return;
  } catch (error) {
    throw fromSystemError(error, 'read', path);
  }
  throw new BnnError('E_IO', 'not a regular file, expected an ONNX file', {
    at: path,
    hint: 'give the path of a .onnx file',
  });
}

/** What onnxruntime says about a model that it does not load, as an error of this project. */
export function explainLoadFailure(cause: unknown, at: string, ep: ExecutionProvider): BnnError {
  const text = messageOf(cause).replace(/^Load model from .* failed: ?/, '');
  if (isOutOfThreads(cause)) return outOfThreads('a session of onnxruntime', cause);
  if (/protobuf parsing failed|data pointer is null|ModelProto does not have a graph|Missing model IR/i.test(text)) {
    return new BnnError('E_FORMAT', `onnxruntime cannot read it as an ONNX file: ${text}`, {
      at,
      hint: 'the file is truncated, damaged or something else',
      cause,
    });
  }
  if (
    /not a registered function|No Op registered|not implemented|NOT_IMPLEMENTED|ONNX Runtime only \*guarantees\*/i.test(
      text,
    )
  ) {
    return new BnnError('E_UNSUPPORTED', `onnxruntime lacks an operator of this model: ${text}`, {
      at,
      hint: text.includes('bnn:')
        ? 'the file lacks the bodies of its bnn operators: write it again with bnn-export, --form packed or latent'
        : 'export the model again with an operator set that this onnxruntime has, e.g. 17',
      cause,
    });
  }
  if (ep !== 'cpu' && /provider|cuda|cudnn|cublas|webgpu|shared library/i.test(text)) {
    return new BnnError('E_BACKEND', `execution provider ${ep} failed: ${text}`, {
      at,
      hint: providerHint(ep),
      cause,
    });
  }
  return new BnnError('E_FORMAT', `onnxruntime refuses the model: ${text}`, { at, cause });
}

/**
 * The one input and the first output of a model that maps float32 to float32, once the data have been found to fit.
 *
 * @throws {BnnError} E_SHAPE, E_UNSUPPORTED: see `Session.run`.
 */
export function signatureOf(
  { inputs, outputs, at }: Session,
  x: Float32Array,
  shape: readonly number[],
): { readonly input: TensorInfo; readonly output: TensorInfo } {
  const [input, ...others] = inputs;
  const [output] = outputs;
  if (input === undefined || output === undefined || others.length > 0) {
    throw new BnnError('E_UNSUPPORTED', `the model has ${inputs.length} inputs, expected one`, { at });
  }
  if (input.dtype !== 'float32' || output.dtype !== 'float32') {
    throw new BnnError(
      'E_UNSUPPORTED',
      `the model maps ${input.dtype} to ${output.dtype}, expected float32 to float32`,
      { at },
    );
  }
  if (!fits(shape, input.shape) || x.length !== elementCount(shape)) {
    throw new BnnError(
      'E_SHAPE',
      `input ${input.name} takes [${input.shape.join(', ')}], but ${x.length} elements of shape [${shape.join(', ')}] were given`,
      { at },
    );
  }
  return { input, output };
}

interface OnnxruntimeSettings {
  readonly ep: ExecutionProvider;
  /** Of the first run. */
  readonly profile: ProfileFolder | null;
  readonly allowCpuFallback: boolean;
}

class OnnxruntimeSession implements Session {
  readonly at: string;
  readonly ep: ExecutionProvider;
  readonly runtime: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  placement: Placement | null = null;
  #profile: ProfileFolder | null;
  readonly #allowCpuFallback: boolean;
  readonly #api: typeof ort;
  readonly #session: ort.InferenceSession;
  readonly #lifetime: SessionLifetime;

  constructor(
    { api, title }: Onnxruntime,
    session: ort.InferenceSession,
    at: string,
    { ep, profile, allowCpuFallback }: OnnxruntimeSettings,
  ) {
    this.#api = api;
    this.runtime = title;
    this.#session = session;
    this.#profile = profile;
    this.#allowCpuFallback = allowCpuFallback;
    this.at = at;
    this.#lifetime = new SessionLifetime(at);
    this.ep = ep;
    this.inputs = session.inputMetadata.map(describe);
    this.outputs = session.outputMetadata.map(describe);
  }

  run(x: Float32Array, shape: readonly number[]): Promise<RunOutput> {
    return this.#lifetime.during(() => this.#run(x, shape));
  }

  dispose(): Promise<void> {
    return this.#lifetime.end(async () => {
      await this.#session.release();
      this.#profile?.remove();
      this.#profile = null;
    });
  }

  async #run(x: Float32Array, shape: readonly number[]): Promise<RunOutput> {
    const { input, output } = signatureOf(this, x, shape);
    let results: ort.InferenceSession.OnnxValueMapType;
    try {
      // A copy: onnxruntime-node reads the elements later, when their memory may have been resized or handed on.
      const tensor = new this.#api.Tensor('float32', x.slice(), [...shape]);
      results = await this.#session.run({ [input.name]: tensor }, [output.name]);
    } catch (cause) {
      throw new BnnError('E_BACKEND', `onnxruntime failed: ${messageOf(cause)}`, { at: this.at, cause });
    }
    this.#checkPlacement();
    const result = results[output.name];
    if (!(result instanceof this.#api.Tensor) || !(result.data instanceof Float32Array)) {
      throw new BnnError('E_UNSUPPORTED', `output ${output.name} is no float32 tensor`, { at: this.at });
    }
    return { data: result.data, shape: result.dims };
  }

  /** @throws {BnnError} E_BACKEND: see `Session.run`. */
  #checkPlacement(): void {
    const profile = this.#profile;
    if (profile !== null) {
      this.#profile = null;
      this.#session.endProfiling();
      this.placement = profile.take();
    }
    if (this.placement !== null && !this.#allowCpuFallback) assertPlacement(this.placement, this.ep, this.at);
  }
}

function describe(metadata: ort.InferenceSession.ValueMetadata): TensorInfo {
  const { name } = metadata;
  return metadata.isTensor
    ? { name, dtype: metadata.type, shape: metadata.shape }
    : { name, dtype: 'not a tensor', shape: [] };
}

/** Symbolic sizes take any number. */
function fits(shape: readonly number[], declared: readonly (number | string)[]): boolean {
  return (
    shape.length === declared.length &&
    declared.every((size, axis) => typeof size !== 'number' || size < 0 || size === shape[axis])
  );
}
