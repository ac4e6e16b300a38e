import { describe, expect, it } from 'vitest';
import { samePadding, slidingWindowSize } from '../../../src/core/tensors/shape.ts';

describe('samePadding', () => {
  const sizes = [1, 2, 3, 5, 8, 13];
  const cases = sizes.flatMap((size) =>
    [1, 2, 3, 5].flatMap((kernel) =>
      [1, 2, 3].flatMap((stride) => [1, 2].map((dilation) => [size, kernel, stride, dilation] as const)),
    ),
  );

  it('is the least that gives a window for each stride of the data', () => {
    for (const [size, kernel, stride, dilation] of cases) {
      const windows = (total: number) => slidingWindowSize(size, kernel, stride, 0, total, dilation);
      let least = 0;
      while (windows(least) < Math.ceil(size / stride)) least++;
      const [begin, end] = samePadding(size, kernel, stride, dilation, false);
      expect(begin + end, `${size} ${kernel} ${stride} ${dilation}`).toBe(least);
      expect([0, 1]).toContain(end - begin);
      expect(samePadding(size, kernel, stride, dilation, true)).toEqual([end, begin]);
    }
  });
});
