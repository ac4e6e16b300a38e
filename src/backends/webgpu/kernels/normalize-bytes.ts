/** Pictures that were uploaded as bytes become floats on the device. */

import { dispatch, FLAT_HEAD, flatGroups } from '../dispatch.ts';
import { allocate, type Own, type OwnKernels, sizeOf } from './kernel.ts';

const normalizeBytes: Own<'BnnNormalizeBytes'> = (backend, { words, table }, { shape }) => {
  const images = allocate(backend, shape);
  const size = sizeOf(images);
  // A thread writes what a word holds at once, unless the last word is not full.
  const lanes = size % 4 === 0 ? 4 : 1;
  const value = (first: string, byte: string) =>
    `table[(${first}) % CHANNELS * 256u + extractBits(word, 8u * ${byte}, 8u)]`;
  const four = [0, 1, 2, 3].map((k) => value(`4u * i + ${k}u`, `${k}u`)).join(', ');
  dispatch(backend, {
    label: 'normalize bytes',
    code: `const CHANNELS = ${shape[3]}u;${FLAT_HEAD}
  if (i >= p.count) { return; }
  ${lanes === 4 ? 'let word = words[i];' : 'let word = words[i / 4u];'}
  images[i] = ${lanes === 4 ? `vec4<f32>(${four})` : value('i', '(i % 4u)')};
}`,
    inputs: { words, table },
    outputs: { images },
    elements: { words: 'u32', ...(lanes === 4 && { images: 'vec4<f32>' as const }) },
    numbers: { count: ['u32', size / lanes] },
    groups: flatGroups(size / lanes),
  });
  return images;
};

export const PICTURE_KERNELS = { BnnNormalizeBytes: normalizeBytes } satisfies OwnKernels;
