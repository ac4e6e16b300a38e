/** What the sessions of a packed model take in memory, with and without our operators. */

import { elementCount } from '../core/tensors/shape.ts';
import { float32 } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import { Builder } from '../graph/builder.ts';
import type { Model } from '../graph/model.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import { measureMemory } from './bench-memory-io.ts';
import type { BenchVariant } from './bench-timing.ts';
import { findOpsLibrary } from './native-addon.ts';

/** Private bytes above a session of a model without weights, after one picture; freed blocks do not count. */
export interface SessionMemory {
  readonly stockBytes: number;
  /** Null when there is no op library. */
  readonly opsBytes: number | null;
}

/** What a size that the model leaves open is given, other than the batch, which is 1. */
const OPEN_SIZE = 32;
const MIB = 2 ** 20;

/**
 * Measures sessions in processes of their own; null where the system does not tell (anything but Linux).
 *
 * @throws {BnnError} E_UNSUPPORTED for other inputs than one float32 tensor, E_BACKEND without our binding of onnxruntime.
 */
export async function measureSessions(model: Model, threads = 1): Promise<SessionMemory | null> {
  const [input, ...others] = model.graph.inputs;
  if (input?.shape == null || others.length > 0 || input.dtype !== 'float32') {
    throw new BnnError('E_UNSUPPORTED', 'memory is measured of models that take one float32 tensor', {
      at: `graph "${model.graph.name}"`,
    });
  }
  const shape = input.shape.map((size, axis) => (typeof size === 'number' ? size : axis === 0 ? 1 : OPEN_SIZE));
  const feeds = { [input.name]: float32(shape, new Float32Array(elementCount(shape))) };
  const bytes = encodeModel(model);
  const empty = await privateBytes({ name: 'an empty session', ops: false, ...emptyModel() }, threads);
  const stock = await privateBytes({ name: 'a stock session', ops: false, bytes, feeds }, threads);
  if (empty === null || stock === null) return null;
  const ops = findOpsLibrary().ok
    ? await privateBytes({ name: 'a session with our operators', ops: true, bytes, feeds }, threads)
    : null;
  return { stockBytes: stock - empty, opsBytes: ops === null ? null : ops - empty };
}

async function privateBytes(variant: BenchVariant, threads: number): Promise<number | null> {
  const found = await measureMemory(variant, threads, { count: 'live' });
  return found === null ? null : found.privateMiB * MIB;
}

function emptyModel(): Pick<BenchVariant, 'bytes' | 'feeds'> {
  const builder = new Builder('empty');
  const x = builder.input('x', 'float32', [1]);
  builder.output(builder.op('Relu', [x], {}, '', 'y'), 'float32', [1]);
  return { bytes: encodeModel(builder.model), feeds: { x: float32([1], [1]) } };
}
