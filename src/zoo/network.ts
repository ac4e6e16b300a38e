/** What every network builder is given, and what it starts from. */

import { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';

/** Which operands of the inner layers are binarized: weights and activations, weights only, none. */
export type Precision = '1w1a' | '1w32a' | 'fp';

/** What binary layers compute with (`binary-values.ts`), in the order of the help. */
export const BINARY_VALUES = ['mean', 'learned', 'adabin'] as const;
export type BinaryValues = (typeof BINARY_VALUES)[number];

export interface NetworkOptions {
  /** Seed of the initial weights. */
  readonly seed: number;
  readonly precision: Precision;
  readonly classes: number;
  /** Channels of the input image. */
  readonly channels: number;
  /** Height and width of the input image. */
  readonly imageSize: number;
  /** What binary layers compute with; `mean` unless told. */
  readonly binaryValues?: BinaryValues | undefined;
}

/** A network under construction. */
export interface Network extends NetworkOptions {
  readonly builder: Builder;
  /** f32[N, channels, imageSize, imageSize]. */
  readonly input: Value;
}

/** An empty network with its input. */
export function createNetwork(name: string, options: NetworkOptions): Network {
  const builder = new Builder(name);
  if (options.precision !== 'fp') builder.model.opsets.set('bnn', 1);
  const { channels, imageSize } = options;
  return { ...options, builder, input: builder.input('input', 'float32', ['N', channels, imageSize, imageSize]) };
}
