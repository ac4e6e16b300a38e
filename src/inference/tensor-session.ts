/** Running a model of any inputs and outputs in a stock onnxruntime, to compare it with another one. */

import type * as ort from 'onnxruntime-node';
import { requireFound } from '../core/found.ts';
import { DTYPES, type Dtype, type Tensor } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import { messageOf } from './error-text.ts';
import { loadOnnxruntime } from './onnxruntime.ts';
import { explainLoadFailure, type SessionOptions, type TensorInfo } from './session.ts';

export interface TensorSession {
  readonly at: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /**
   * Runs a model and takes all its outputs, in its order.
   *
   * @param feeds  by the names of the inputs, in their dtypes.
   * @throws {BnnError} E_BACKEND when onnxruntime fails, E_UNSUPPORTED for an output that is no tensor of numbers.
   */
  run(feeds: ReadonlyMap<string, Tensor>): Promise<ReadonlyMap<string, Tensor>>;
  dispose(): Promise<void>;
}

/** What onnxruntime calls the types that it runs. */
const TYPES: ReadonlySet<string> = new Set(DTYPES.filter((dtype) => dtype !== 'bfloat16'));

/**
 * Loads a model for the CPU.
 *
 * @throws {BnnError} as `createSession`; E_UNSUPPORTED for an input that is no tensor of numbers.
 */
export async function createTensorSession(
  model: Uint8Array,
  { at = 'model', threads = 0, verbose = false }: Pick<SessionOptions, 'at' | 'threads' | 'verbose'> = {},
): Promise<TensorSession> {
  const { api } = requireFound(loadOnnxruntime());
  // onnxruntime prints what it also throws.
  api.env.logLevel = verbose ? 'warning' : 'fatal';
  let session: ort.InferenceSession;
  try {
    session = await api.InferenceSession.create(model, {
      executionProviders: ['cpu'],
      logSeverityLevel: verbose ? 2 : 4,
      ...(threads > 0 ? { intraOpNumThreads: threads } : {}),
    });
  } catch (cause) {
    throw explainLoadFailure(cause, at, 'cpu');
  }
  const inputs = session.inputMetadata.map(infoOf);
  const outputs = session.outputMetadata.map(infoOf);
  for (const { name, dtype } of [...inputs, ...outputs]) {
    if (TYPES.has(dtype)) continue;
    await session.release();
    throw new BnnError('E_UNSUPPORTED', `${name} is ${dtype}, expected a tensor of numbers`, {
      at,
      hint: 'leave --verify out, or cut the model in front of what makes texts or maps of its numbers',
    });
  }
  return { at, inputs, outputs, run: (feeds) => run(api, session, feeds, at), dispose: () => session.release() };
}

function infoOf(metadata: ort.InferenceSession.ValueMetadata): TensorInfo {
  const { name } = metadata;
  if (!metadata.isTensor) return { name, dtype: 'not a tensor', shape: [] };
  return { name, dtype: metadata.type, shape: metadata.shape };
}

async function run(
  api: typeof ort,
  session: ort.InferenceSession,
  feeds: ReadonlyMap<string, Tensor>,
  at: string,
): Promise<ReadonlyMap<string, Tensor>> {
  const tensors: Record<string, ort.Tensor> = {};
  for (const [name, { dtype, shape, data }] of feeds) {
    tensors[name] = new api.Tensor(dtype as 'float32', data as Float32Array, [...shape]);
  }
  let results: ort.InferenceSession.OnnxValueMapType;
  try {
    results = await session.run(tensors);
  } catch (cause) {
    throw new BnnError('E_BACKEND', `onnxruntime failed: ${messageOf(cause)}`, { at, cause });
  }
  const found = new Map<string, Tensor>();
  for (const name of session.outputNames) {
    const result = results[name];
    if (!(result instanceof api.Tensor) || !TYPES.has(result.type)) {
      throw new BnnError('E_UNSUPPORTED', `output ${name} is no tensor of numbers`, { at });
    }
    found.set(name, { dtype: result.type as Dtype, shape: result.dims, data: result.data } as Tensor);
  }
  return found;
}
