import type { MemorySplit } from '../../src/data/dataset.ts';

/** Mean and population standard deviation of pixels / 255 per channel, from histograms in exact integers. */
export function statisticsOf({ images, channels }: MemorySplit): { mean: number[]; std: number[] } {
  const histograms = Array.from({ length: channels }, () => new Float64Array(256));
  for (let i = 0; i < images.length; i++) histograms[i % channels]![images[i]!]!++;
  const mean: number[] = [];
  const std: number[] = [];
  for (const histogram of histograms) {
    const n = images.length / channels;
    const sum = histogram.reduce((total, count, value) => total + count * value, 0);
    const squares = histogram.reduce((total, count, value) => total + count * value * value, 0);
    mean.push(sum / n / 255);
    std.push(Math.sqrt(squares / n - (sum / n) ** 2) / 255);
  }
  return { mean, std };
}
