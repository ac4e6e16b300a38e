/** Runs models in a stock onnxruntime, without our operators. */

import * as ort from 'onnxruntime-node';
import type { Model } from '../../src/graph/model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';

export type Run = (x: Float32Array, shape: readonly number[]) => Promise<Float32Array>;

/** A function from the first input to the first output of a model. */
export async function createRun(model: Model | Uint8Array): Promise<Run> {
  const bytes = model instanceof Uint8Array ? model : encodeModel(model);
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 4, graphOptimizationLevel: 'all' });
  const [input] = session.inputNames;
  const [output] = session.outputNames;
  return async (x, shape) => {
    const results = await session.run({ [input!]: new ort.Tensor('float32', x, [...shape]) }, [output!]);
    return results[output!]!.data as Float32Array;
  };
}

export function argMax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
