/** A scale of colours for numbers: even steps of lightness from dark violet to yellow, distinct without colour vision. */

type Rgb = readonly [number, number, number];

/** Anchors at equal distances. */
const RAMP: readonly Rgb[] = [
  [62, 28, 110],
  [58, 82, 150],
  [34, 130, 148],
  [60, 175, 117],
  [152, 213, 70],
  [250, 226, 60],
];

/** `#rrggbb` of a share 0 … 1; beyond, the colour of the end. */
export function colorOf(share: number): string {
  const position = Math.min(1, Math.max(0, share)) * (RAMP.length - 1);
  const below = Math.min(Math.floor(position), RAMP.length - 2);
  const [from, to] = [RAMP[below] ?? [0, 0, 0], RAMP[below + 1] ?? [0, 0, 0]];
  const channel = (i: 0 | 1 | 2): string =>
    Math.round(from[i] + (to[i] - from[i]) * (position - below))
      .toString(16)
      .padStart(2, '0');
  return `#${channel(0)}${channel(1)}${channel(2)}`;
}
