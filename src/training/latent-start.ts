/** Latent weights that a transform turns into weights with given signs: what a run starts from whose network comes from a file. */

import { type Tensor, tensor } from '../core/tensor.ts';
import { BIPER_FREQUENCY, type WeightTransformName } from './weight-transform.ts';

export interface LatentStart {
  readonly latent: Tensor<'float32'>;
  /** Filters whose signs the transform cannot give. */
  readonly unreachable: number;
}

/** So near to the top of its sine a latent weight would hardly move any more. */
const BIPER_LARGEST = 0.999;
/** Of the mean magnitude of a filter: a smaller weight could change its sign by rounding when the mean is subtracted. */
const SMALLEST = 1e-4;

/**
 * Where the transform can give the weights themselves, the result is such that it does; else their signs.
 *
 * @param weights     in the order of the graph.
 * @param outputAxis  the dimension that counts filters.
 */
export function latentFor(name: WeightTransformName, weights: Tensor<'float32'>, outputAxis: number): LatentStart {
  const { data, shape } = weights;
  const done = (latent: Float32Array, unreachable = 0): LatentStart => ({
    latent: tensor('float32', shape, latent),
    unreachable,
  });
  switch (name) {
    case 'none':
    // w* has the sign of θ, and is nearly θ at the start of training.
    case 'adaste':
      return done(Float32Array.from(data));
    case 'biper': {
      const largest = data.reduce((most, w) => Math.max(most, Math.abs(w)), 0);
      const scale = largest > 1 ? BIPER_LARGEST / largest : 1;
      const clip = (w: number): number => Math.min(BIPER_LARGEST, Math.max(-BIPER_LARGEST, w));
      return done(Float32Array.from(data, (w) => Math.asin(clip(w * scale)) / BIPER_FREQUENCY));
    }
    case 'standardize':
    case 'recu': {
      const latent = Float32Array.from(data);
      let unreachable = 0;
      for (const filter of filtersOf(shape, outputAxis)) if (!centre(latent, filter)) unreachable++;
      return done(latent, unreachable);
    }
    default:
      return name satisfies never;
  }
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
