/**
 * Weights of one magnitude per output up to rounding get exactly one.
 *
 *     before   Conv(x, W), W = (±s − V) + V, computed by the exporter
 *     after    Conv(x, ±s)
 *
 * The detour (a − b) + b of a straight-through estimator rounds each weight in its last places; an exporter that folds constants
 * leaves the rounded numbers and no trace of the signs.
 */

import { float32, type Tensor } from '../../../core/tensors/tensor.ts';
import type { Node } from '../../../graph/graph.ts';
import { addLayer } from '../../../rewriting/add-layer.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import type { Exact } from '../../../rewriting/exact/exact.ts';
import { defineRewrite, type Miss, miss } from '../../../rewriting/rewrite.ts';

/** Relative. The rounding of the detour is 2⁻²⁴ of the latent weight, which is some hundred times s at most. */
const MOST_ROUNDING = 1e-4;
/** Fewer may be of one size by chance. */
const LEAST_WEIGHTS = 16;

/** ±mean per output, or null when the magnitudes are equal already or differ by more than rounding. */
function snapped({ data, shape }: Exact, outputsLast: boolean): Float32Array | null {
  const outputs = (outputsLast ? shape.at(-1) : shape[0]) ?? 0;
  const terms = data.length / outputs;
  if (data.length < LEAST_WEIGHTS || !(terms > 1)) return null;
  const [outputStep, innerStep] = outputsLast ? [1, outputs] : [terms, 1];
  const result = new Float32Array(data.length);
  let isRounded = false;
  for (let o = 0; o < outputs; o++) {
    let [least, most, total] = [Infinity, 0, 0];
    for (let k = 0; k < terms; k++) {
      const size = Math.abs(data[o * outputStep + k * innerStep] ?? Number.NaN);
      least = Math.min(least, size);
      most = Math.max(most, size);
      total += size;
    }
    if (!(most - least <= MOST_ROUNDING * most)) return null;
    isRounded ||= most !== least;
    const magnitude = most === least ? most : total / terms;
    for (let k = 0; k < terms; k++) {
      const at = o * outputStep + k * innerStep;
      result[at] = (data[at] ?? 0) < 0 ? -magnitude : magnitude;
    }
  }
  return isRounded && result.some((w) => w > 0) && result.some((w) => w < 0) ? result : null;
}

function match(
  root: Node,
  context: RewriteContext,
): { readonly name: string; readonly weights: Tensor<'float32'> } | Miss {
  const { name, constant } = root.requiredInput(1);
  const exact = constant === null ? null : context.evaluate(root.requiredInput(1));
  if (exact?.dtype !== 'float32') return miss(root, 'its weights are no constant of float32');
  const outputsLast = !root.is('Conv') && root.int('transB', 0) === 0;
  const data = snapped(exact, outputsLast);
  if (data === null) return miss(root, 'its weights are of one magnitude per output, or differ by more than rounding');
  return { name, weights: float32(exact.shape, data) };
}

export const SNAP_WEIGHTS = defineRewrite({
  name: 'snap-weights',
  doc: {
    before: 'Conv, Gemm or MatMul with constant weights whose magnitudes within an output differ by rounding',
    after: 'the same with their mean magnitude',
    requires: 'at least 16 weights of both signs, several per output; relative differences up to 1e-4',
    exactness: 'up to the rounding of the source, 1e-4 of a weight at most',
  },
  tell: (count) =>
    `the weights of ${count === 1 ? '1 layer differ' : `${count} layers differ`} in magnitude by rounding alone (at most 1e-4): they are made equal per output`,
  roots: ['Conv', 'Gemm', 'MatMul'],
  match,
  apply: (root, { name, weights }, context) => {
    const constant = context.graph.addConstant(`${name}.snapped`, weights);
    const inputs = root.inputs.map((input, i) => (i === 1 ? constant : input));
    return addLayer(root, root.type, inputs, root.attributes, context);
  },
});
