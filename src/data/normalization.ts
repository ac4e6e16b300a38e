/** (pixel / 255 − mean) / std per channel. */

import { BnnError } from '../errors.ts';
import type { Split } from './dataset.ts';

export interface ChannelStatistics {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** `dataset`: the data set's own statistics; `imagenet`: what networks for ImageNet use; `none`: pixel / 255 as it is. */
export const NORMALIZATIONS = ['dataset', 'imagenet', 'none'] as const;

export type Normalization = (typeof NORMALIZATIONS)[number] | ChannelStatistics;

/** Of the ImageNet training set, in the order red, green, blue; the figures that torchvision documents for its networks. */
export const IMAGENET_STATISTICS: ChannelStatistics = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/**
 * Mean and standard deviation that a choice means for a data set or a split.
 *
 * @throws {BnnError} E_USAGE for `imagenet` on grey pictures, or for statistics that do not fit the channels.
 */
export function resolveNormalization(
  choice: Normalization,
  data: Pick<Split, 'channels' | 'mean' | 'std'>,
): ChannelStatistics {
  const { channels } = data;
  if (choice === 'dataset') return { mean: data.mean, std: data.std };
  if (choice === 'none') return { mean: new Array(channels).fill(0), std: new Array(channels).fill(1) };
  const { mean, std } = choice === 'imagenet' ? IMAGENET_STATISTICS : choice;
  if (mean.length !== channels || std.length !== channels) {
    const found =
      choice === 'imagenet'
        ? 'ImageNet statistics have 3 channels'
        : `statistics of ${mean.length} means, ${std.length} deviations`;
    throw new BnnError('E_USAGE', `${found}, but the pictures have ${channels}`, {
      hint: 'choose another --normalize',
    });
  }
  if (!mean.every(Number.isFinite) || !std.every((value) => Number.isFinite(value) && value > 0)) {
    throw new BnnError('E_USAGE', `mean [${mean.join(', ')}], std [${std.join(', ')}]: expected numbers, and std > 0`);
  }
  return { mean, std };
}

/** f32[channels][256]: the normalised value of each pixel value, computed in float64 and rounded once. */
export function normalizationTable({ mean, std }: ChannelStatistics): Float32Array {
  const table = new Float32Array(mean.length * 256);
  for (let i = 0; i < table.length; i++) {
    const c = i >> 8;
    table[i] = ((i & 255) / 255 - (mean[c] ?? 0)) / (std[c] ?? 1);
  }
  return table;
}
