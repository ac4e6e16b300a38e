import { expect, it } from 'vitest';
import {
  earlierFrame,
  encodePreprocessing,
  inputShape,
  type Preprocessing,
  parsePreprocessing,
} from '../../../src/core/pictures/preprocessing.ts';

const FULL: Preprocessing = {
  dataset: 'image-folder',
  picture: {
    ...{ width: 224, height: 192, fit: 'crop', shorterSide: 219 },
    ...{ filter: 'triangle', channelOrder: 'RGB', layout: 'NCHW' },
  },
  mean: [0.5, 0.4, 0.3],
  std: [0.2, 0.25, 0.3],
  classes: ['a', 'b'],
};

it('is one flat object in a file, and comes back', () => {
  expect(JSON.parse(encodePreprocessing(FULL))).toEqual({
    dataset: 'image-folder',
    size: { width: 224, height: 192 },
    ...{ fit: 'crop', shorterSide: 219, filter: 'triangle', channelOrder: 'RGB', layout: 'NCHW' },
    ...{ mean: FULL.mean, std: FULL.std, classes: FULL.classes },
  });
  expect(parsePreprocessing(encodePreprocessing(FULL, 2))).toEqual(FULL);
});

it('says what the numbers mean where they are no logits', () => {
  expect(encodePreprocessing({ ...FULL, output: 'logits' })).toBe(encodePreprocessing(FULL));
  const signed: Preprocessing = { ...FULL, output: 'signed' };
  expect(JSON.parse(encodePreprocessing(signed))).toMatchObject({ output: 'signed' });
  expect(parsePreprocessing(encodePreprocessing(signed))).toEqual(signed);
});

it('reads what earlier versions wrote, and knows how they framed', () => {
  const { picture: _, ...earlier } = FULL;
  expect(parsePreprocessing(JSON.stringify(earlier))).toEqual({ ...FULL, picture: null });
  expect(earlierFrame('image-folder', 224, 224)).toEqual({ width: 224, height: 224, fit: 'crop', shorterSide: 256 });
  expect(earlierFrame('cifar10', 32, 32)).toEqual({ width: 32, height: 32, fit: 'crop', shorterSide: 32 });
});

it('knows the shape of prepared pictures', () => {
  const picture = FULL.picture!;
  expect(inputShape(picture, 5)).toEqual([5, 3, 192, 224]);
  expect(inputShape({ ...picture, layout: 'NHWC', channelOrder: 'grey' }, 1)).toEqual([1, 192, 224, 1]);
});

it.each<[string, (entry: Record<string, unknown>) => unknown, RegExp]>([
  [
    'a standard deviation of 0',
    (it) => ({ ...it, std: [0.2, 0, 0.3] }),
    /std of channel 1 is 0, expected a number above 0/,
  ],
  ['a mean that is text', (it) => ({ ...it, mean: [0.5, '0.4', 0.3] }), /mean of channel 1 is "0.4"/],
  ['means and deviations of different number', (it) => ({ ...it, std: [0.2] }), /3 means and 1 standard/],
  ['grey with three means', (it) => ({ ...it, channelOrder: 'grey' }), /3 means for 1 channels/],
  ['no size', (it) => ({ ...it, size: { width: 224 } }), /size is \{"width":224\}/],
  ['a size of nothing', (it) => ({ ...it, size: { width: 0, height: 1 } }), /size is/],
  ['another fit', (it) => ({ ...it, fit: 'stretch' }), /fit is "stretch", expected crop or squash or pad/],
  ['another filter', (it) => ({ ...it, filter: 'lanczos' }), /filter is "lanczos", expected triangle/],
  ['a crop without a side', (it) => ({ ...it, shorterSide: null }), /shorterSide is null with fit crop to 224×192/],
  ['a crop of less than the result', (it) => ({ ...it, shorterSide: 191 }), /shorterSide is 191/],
  ['a squash with a side', (it) => ({ ...it, fit: 'squash' }), /shorterSide is 219 with fit squash/],
  ['classes that are numbers', (it) => ({ ...it, classes: [1, 2] }), /classes are no list of texts/],
  ['another output', (it) => ({ ...it, output: 'scores' }), /output is "scores", expected logits or probabilities or/],
  ['no data set', ({ dataset: _, ...it }) => it, /dataset is missing/],
  ['a list', () => [1], /no JSON object/],
])('refuses %s', (_, change, message) => {
  const text = JSON.stringify(change(JSON.parse(encodePreprocessing(FULL)) as Record<string, unknown>));
  expect(() => parsePreprocessing(text, 'x.onnx')).toThrowError(message);
  expect(() => parsePreprocessing(text, 'x.onnx')).toThrowError(
    expect.objectContaining({ code: 'E_FORMAT', at: 'x.onnx' }),
  );
});

it('refuses what is no JSON', () => expect(() => parsePreprocessing('{')).toThrowError(/not readable: it is no JSON/));

it.each([
  [2 ** 16, 2 ** 16],
  [8192, 4096],
])('pictures of %d×%d are refused before any is made', (width, height) => {
  const picture = {
    width,
    height,
    fit: 'squash',
    shorterSide: null,
    filter: 'triangle',
    channelOrder: 'RGB',
    layout: 'NCHW',
  } as const;
  const text = encodePreprocessing({ dataset: 'x', picture, mean: [0, 0, 0], std: [1, 1, 1], classes: [] });
  expect(() => parsePreprocessing(text)).toThrow(`size is ${width}×${height}, expected at most 16777216 pixels`);
});
