/** Networks of one packed layer, and what the engine does not run of the trainer's cases. */

import { Rng } from '../../src/core/numbers/rng.ts';
import type { Tensor } from '../../src/core/tensors/tensor.ts';
import type { EngineSession } from '../../src/engine/engine-session.ts';
import { type Attributes, int, ints } from '../../src/graph/attribute.ts';
import type { Model } from '../../src/graph/model.ts';
import { packConvWeights, packGemmWeights } from '../../src/operators/pack-weights.ts';
import type { LayerVariant } from '../../src/operators/variants.ts';
import { normals } from '../models/network.ts';
import { randomEpilogue } from '../operators/epilogues.ts';
import { oneNodeModel } from '../operators/run-stock.ts';

/** What a packed file does not have. */
export const REFUSED = ['Erf', 'Gemm of transposed rows'];

const CONV: Attributes = {
  strides: ints([2, 1]),
  pads: ints([1, 0, 2, 1]),
  dilations: ints([1, 2]),
  group: int(2),
  kernel_shape: ints([3, 2]),
  channels: int(9),
};

export interface LayerSizes {
  readonly outputs: number;
  /** [rows, channels] of a dense layer. */
  readonly dense: readonly [number, number];
  /** [batch, height, width] of a convolution over 18 channels in two groups. */
  readonly conv: readonly [number, number, number];
}

/** A layer with random weights and whatever its variant adds, and inputs for it. */
export function layerModel(
  [name, variant]: readonly [string, LayerVariant],
  { outputs, dense, conv: [batch, height, width] }: LayerSizes,
): { readonly model: Model; readonly feeds: Readonly<Record<string, Tensor>> } {
  const rng = new Rng(7);
  const isDense = variant.layer === 'Gemm';
  const [rows, channels] = dense;
  const floats = (...shape: number[]) => normals(rng, shape);
  const x = isDense ? floats(rows, channels) : floats(batch, 18, height, width);
  const w = isDense
    ? packGemmWeights(floats(outputs, channels).data, [outputs, channels])
    : packConvWeights(floats(outputs, 9, 3, 2).data, [outputs, 9, 3, 2]);
  // Three rows at a stride of 2 with pads 1 and 2; two columns 2 apart with pads 0 and 1.
  const resultShape = isDense ? [rows, outputs] : [batch, outputs, Math.floor(height / 2) + 1, width - 1];
  const { inputs } = randomEpilogue(variant, rng, { outputs, resultShape, unit: false });
  const thresholds = variant.threshold ? [floats(18)] : [];
  const attributes = isDense ? { channels: int(channels) } : CONV;
  const model = oneNodeModel(name, [x, w, ...inputs, ...thresholds], attributes);
  return { model, feeds: { x, ...(variant.add ? { residual: inputs[2]! } : {}) } };
}

/** All outputs, for tensors of floats by the names of the inputs. */
export function runAll(
  session: EngineSession,
  feeds: Readonly<Record<string, Tensor>>,
): ReturnType<EngineSession['runAll']> {
  const named = Object.entries(feeds).map(([name, { data, shape }]) => [name, { data: data as Float32Array, shape }]);
  return session.runAll(Object.fromEntries(named) as Parameters<EngineSession['runAll']>[0]);
}
