/** What TensorBoard shows, one value each. */

import Long from 'long';
import type { Init, SummaryValue } from './generated/event.ts';

export type Summary = Init<SummaryValue>;

const BUCKETS = 64;
const DT_STRING = 7;

export function scalar(tag: string, value: number): Summary {
  return { tag, simpleValue: value };
}

/** Null where no value is finite; those that are not are left out. */
export function histogram(tag: string, values: ArrayLike<number>): Summary | null {
  let [min, max, sum, sumSquares, num] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? Number.NaN;
    if (!Number.isFinite(value)) continue;
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
    sumSquares += value * value;
    num++;
  }
  if (num === 0) return null;
  const width = (max - min) / BUCKETS;
  const count = width > 0 ? BUCKETS : 1;
  const bucket = new Array<number>(count).fill(0);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? Number.NaN;
    if (!Number.isFinite(value)) continue;
    const k = width > 0 ? Math.min(count - 1, Math.floor((value - min) / width)) : 0;
    bucket[k] = (bucket[k] ?? 0) + 1;
  }
  const bucketLimit = bucket.map((_, k) => (k === count - 1 ? max : min + (k + 1) * width));
  return { tag, histo: { min, max, num, sum, sumSquares, bucketLimit, bucket } };
}

export interface EncodedPicture {
  readonly png: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export function image(tag: string, { png, height, width, channels }: EncodedPicture): Summary {
  return { tag, image: { height, width, colorspace: channels, encodedImageString: png } };
}

/** Markdown. */
export function markdown(tag: string, text: string): Summary {
  return {
    tag,
    tensor: {
      dtype: DT_STRING,
      tensorShape: { dim: [{ size: Long.fromNumber(1) }] },
      stringVal: [new TextEncoder().encode(text)],
    },
    metadata: { pluginData: { pluginName: 'text' } },
  };
}
