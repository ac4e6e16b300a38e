/** Random epilogues of layer operators, and their results in float32 arithmetic, written unlike the reference. */

import type { Rng } from '../../src/core/numbers/rng.ts';
import { float32, type Tensor } from '../../src/core/tensors/tensor.ts';
import type { LayerVariant } from '../../src/operators/variants.ts';

export interface RandomEpilogue {
  /** The inputs after x and w, but for the thresholds of the data. */
  readonly inputs: readonly Tensor[];
  /** The result, rounded after every operation. */
  readonly finish: (acc: number, output: number, index: number) => number;
}

export interface EpilogueRequest {
  readonly outputs: number;
  readonly resultShape: readonly number[];
  /** Numbers that float32 holds exactly all the way, so that there is nothing to round. */
  readonly unit: boolean;
}

export function randomEpilogue(variant: LayerVariant, rng: Rng, request: EpilogueRequest): RandomEpilogue {
  const { outputs, resultShape, unit } = request;
  const normals = (count: number) => Float32Array.from({ length: count }, () => rng.normal());
  const vector = (draw: (x: number) => number) => normals(outputs).map(draw);
  const tensors = (...vectors: Float32Array[]) => vectors.map((v) => float32([outputs], v));
  if (variant.sign) {
    // Between accumulators and on them.
    const threshold = vector((x) => Math.round(4 * x) / 2);
    return { inputs: tensors(threshold), finish: (acc, o) => (acc < threshold[o]! ? -1 : 1) };
  }
  const scale = vector((s) => (unit ? 1 : s));
  const bias = vector((b) => (unit ? 0 : b));
  const inputs = tensors(scale, bias);
  const count = resultShape.reduce((a, b) => a * b, 1);
  const residual = normals(count).map((r) => (unit ? Math.round(r * 8) : r));
  if (variant.add) inputs.push(float32(resultShape, residual));
  const slope = vector((a) => (unit ? Math.round(2 * a) / 4 : a));
  const offset = vector((b) => (unit ? Math.round(4 * b) : b));
  if (variant.prelu) inputs.push(...tensors(slope, offset));
  const finish = (acc: number, o: number, index: number): number => {
    let y = Math.fround(scale[o]! * (variant.relu && acc < 0 ? 0 : acc));
    y = Math.fround(y + bias[o]!);
    if (variant.add) y = Math.fround(y + residual[index]!);
    if (!variant.prelu) return y;
    if (y < 0) y = Math.fround(y * slope[o]!);
    return Math.fround(y + offset[o]!);
  };
  return { inputs, finish };
}
