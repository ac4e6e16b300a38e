/**
 * The straight-through estimator.
 *
 * Forward    sign(z)
 * Surrogate  f(z) = clip(z, −c, c); c = ∞ is the identity
 * Gradient   s(z) = 1 if |z| ≤ c else 0
 * Schedule   none
 * Papers     Bengio, Léonard, Courville, arXiv:1308.3432 (identity: BinaryConnect, arXiv:1511.00363);
 *            Hubara et al., arXiv:1602.02830 (clipped at 1)
 */

import { steGradient } from '../kernels/sign.ts';
import type { Estimator, EstimatorSchedule } from './estimator.ts';

/** @param clip c > 0; Infinity for the identity. */
export function createSte(clip: number): Estimator {
  const c = Math.fround(clip);
  return {
    name: 'ste',
    attributes: { estimator: 'ste', clip: c },
    surrogate: (z) => Math.min(Math.max(z, -clip), clip),
    factor: (z) => (Math.abs(Math.fround(z)) <= c ? 1 : 0),
    gradient: (x, dy) => steGradient(x, dy, c),
  };
}

export function steSchedule(clip: number): EstimatorSchedule {
  const estimator = createSte(clip);
  return { name: 'ste', at: () => estimator };
}
