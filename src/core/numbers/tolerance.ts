/** How far two implementations of the same mathematics may lie apart; one place, so that a test cannot quietly loosen it. */

/** Golden values in float64. */
export const FLOAT64_TOLERANCE = 1e-12;
/** Element-wise float32 kernels against float64, relative. */
export const FLOAT32_TOLERANCE = 2e-6;
/** Logits of the packed against the latent form of a network. */
export const LOGITS_TOLERANCE = 1e-4;
/** Gradients of a whole network, relative in the Euclidean norm. */
export const GRADIENT_TOLERANCE = 1e-4;

/** ‖a − b‖₂ / ‖b‖₂ in float64; 0 when both are zero, Infinity when only b is. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] ?? Number.NaN;
    const y = b[i] ?? Number.NaN;
    difference += (x - y) ** 2;
    norm += y ** 2;
  }
  if (Number.isNaN(difference)) return Infinity;
  if (norm === 0) return difference === 0 ? 0 : Infinity;
  return Math.sqrt(difference / norm);
}

/** max |a − b|; Infinity when the lengths differ or a value is NaN. */
export function maxAbsoluteError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs((a[i] ?? Number.NaN) - (b[i] ?? Number.NaN));
    if (Number.isNaN(difference)) return Infinity;
    worst = Math.max(worst, difference);
  }
  return worst;
}
