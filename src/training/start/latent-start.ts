/** Latent weights that a transform turns into weights with given signs: what a run starts from whose network comes from a file. */

import { type Tensor, tensor } from '../../core/tensors/tensor.ts';

export interface LatentStart {
  readonly latent: Tensor<'float32'>;
  /** Filters whose signs the transform cannot give. */
  readonly unreachable: number;
}

/** So near to the top of its sine a latent weight would hardly move any more. */
const SINE_LARGEST = 0.999;
/** Of the mean magnitude of a filter: a smaller weight could change its sign by rounding when the mean is subtracted. */
const SMALLEST = 1e-4;

function startAt({ shape }: Tensor<'float32'>, latent: Float32Array, unreachable = 0): LatentStart {
  return { latent: tensor('float32', shape, latent), unreachable };
}

/** The weights themselves. AdaSTE: w* has the sign of θ, and is nearly θ at the start of training. */
export function sameLatent(weights: Tensor<'float32'>): LatentStart {
  return startAt(weights, Float32Array.from(weights.data));
}

/** For u = sin(frequency·w): gives the weights themselves, scaled down where they are beyond ±1. */
export function sineLatent(weights: Tensor<'float32'>, frequency: number): LatentStart {
  const { data } = weights;
  const largest = data.reduce((most, w) => Math.max(most, Math.abs(w)), 0);
  const scale = largest > 1 ? SINE_LARGEST / largest : 1;
  const clip = (w: number): number => Math.min(SINE_LARGEST, Math.max(-SINE_LARGEST, w));
  return startAt(
    weights,
    Float32Array.from(data, (w) => Math.asin(clip(w * scale)) / frequency),
  );
}

/**
 * For transforms that subtract the mean of a filter: gives the signs.
 *
 * @param weights     in the order of the graph.
 * @param outputAxis  the dimension that counts filters.
 */
export function centredLatent(weights: Tensor<'float32'>, outputAxis: number): LatentStart {
  const latent = Float32Array.from(weights.data);
  let unreachable = 0;
  for (const filter of filtersOf(weights.shape, outputAxis)) if (!centre(latent, filter)) unreachable++;
  return startAt(weights, latent, unreachable);
}

/** The positions of each filter's weights. */
function* filtersOf(shape: readonly number[], axis: number): Generator<number[]> {
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const count = shape[axis] ?? 1;
  const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1);
  for (let filter = 0; filter < count; filter++) {
    yield Array.from(
      { length: outer * inner },
      (_, i) => (Math.floor(i / inner) * count + filter) * inner + (i % inner),
    );
  }
}

/** Scales the positive weights of a filter against the negative ones until its mean is 0; false where there are none of either. */
function centre(w: Float32Array, filter: readonly number[]): boolean {
  const smallest = (SMALLEST * filter.reduce((sum, i) => sum + Math.abs(w[i] ?? 0), 0)) / filter.length;
  let [positive, negative] = [0, 0];
  for (const i of filter) {
    const value = w[i] ?? 0;
    w[i] = value >= 0 ? Math.max(smallest, value) : Math.min(-smallest, value);
    if (value >= 0) positive += w[i] ?? 0;
    else negative -= w[i] ?? 0;
  }
  if (!(positive > 0 && negative > 0)) return false;
  const ratio = Math.sqrt(negative / positive);
  for (const i of filter) w[i] = (w[i] ?? 0) * ((w[i] ?? 0) >= 0 ? ratio : 1 / ratio);
  return true;
}
