/** The ranges of all values of a float model on given inputs. */

import type { Model } from '../graph/model.ts';
import { decodeModel } from '../onnx/decode-model.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import { createNativeSession, type NamedTensors } from './native-session.ts';

/**
 * Least and greatest element of each computed float32 value and of the inputs, by name.
 *
 * @param inputs  feeds of the runs; the ranges hold all of them.
 * @throws {BnnError} as `createNativeSession`.
 */
export async function calibrate(
  model: Model,
  inputs: readonly NamedTensors[],
): Promise<Map<string, { readonly min: number; readonly max: number }>> {
  const copy = decodeModel(encodeModel(model));
  for (const value of model.graph.values.values()) {
    const twin = copy.graph.values.get(value.name);
    if (value.producer === null || value.dtype !== 'float32' || twin === undefined) continue;
    twin.dtype = value.dtype;
    twin.shape = value.shape;
    if (!twin.isOutput()) copy.graph.addOutput(twin);
  }
  const ranges = new Map<string, { min: number; max: number }>();
  const session = await createNativeSession(encodeModel(copy), { at: 'calibration' });
  try {
    for (const feeds of inputs) {
      for (const [name, { data }] of Object.entries({ ...feeds, ...(await session.runTensors(feeds)) })) {
        if (!(data instanceof Float32Array)) continue;
        const range = ranges.get(name) ?? { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };
        for (const x of data) {
          // Unlike a comparison, keeps NaN.
          range.min = Math.min(range.min, x);
          range.max = Math.max(range.max, x);
        }
        ranges.set(name, range);
      }
    }
  } finally {
    await session.dispose();
  }
  return ranges;
}
