/** Numbers of both signs without a pattern that a network could fall in with, none of them close to 0 by accident only. */
export function waves(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + seed) + Math.cos(i * 0.31 * (seed + 1)));
}
