/**
 * The sign of a layer's result as a comparison of its integer accumulator.
 *
 *     y(acc) = prelu(scale · e(acc) + bias, slope) + offset,   each operation rounded to float32, as a runtime computes the body
 *     sign(y(acc)) = +1  ⟺  acc ≥ threshold   (or −acc ≥ threshold, with the weights of the channel negated)
 *
 * Nothing is derived: y is computed for every value that the accumulator can take, so rounding and exact zeros are what they are.
 */

import { signOf } from '../core/numbers/bits.ts';

/** One output channel, in float32 numbers. */
export interface ChannelEpilogue {
  readonly relu: boolean;
  readonly scale: number;
  readonly bias: number;
  /** Null where there is no PReLU. */
  readonly prelu: { readonly slope: number; readonly offset: number } | null;
}

/** The values that an accumulator can take: from −most to most. */
export interface AccumulatorRange {
  readonly most: number;
  /** 1 where padding can leave out any number of terms, else 2: all terms are ±1. */
  readonly step: 1 | 2;
}

export interface SignThreshold {
  /** The least (negated) accumulator that gives +1; beyond `most` when none does. */
  readonly threshold: number;
  /** True when +1 belongs to the small accumulators: the comparison is of their negatives. */
  readonly isNegated: boolean;
}

/** Where the sign changes for the second time, so that no single comparison gives it. */
export interface SecondChange {
  readonly secondChangeAt: number;
}

export function signThreshold(
  epilogue: ChannelEpilogue,
  { most, step }: AccumulatorRange,
): SignThreshold | SecondChange {
  const first = signOfResult(epilogue, -most);
  let change: number | null = null;
  for (let acc = -most + step; acc <= most; acc += step) {
    if (signOfResult(epilogue, acc) === (change === null ? first : -first)) continue;
    if (change !== null) return { secondChangeAt: acc };
    change = acc;
  }
  if (change === null) return { threshold: first === 1 ? -most : most + 1, isNegated: false };
  return first === -1 ? { threshold: change, isNegated: false } : { threshold: step - change, isNegated: true };
}

function signOfResult({ relu, scale, bias, prelu }: ChannelEpilogue, acc: number): 1 | -1 {
  const scaled = Math.fround(scale * (relu ? Math.max(acc, 0) : acc));
  const z = Math.fround(scaled + bias);
  if (prelu === null) return signOf(z);
  return signOf(Math.fround((z < 0 ? Math.fround(prelu.slope * z) : z) + prelu.offset));
}
