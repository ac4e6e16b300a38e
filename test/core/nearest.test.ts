import { expect, test } from 'vitest';
import { nearest } from '../../src/core/nearest.ts';

const NAMES = ['resnet20', 'resnet18', 'vgg-small', 'train'];

test.each([
  ['resnet2O', 'resnet20'],
  ['resnet-20', 'resnet20'],
  ['vggsmall', 'vgg-small'],
  ['tarin', 'train'],
  ['train', 'train'],
  ['xyzzy', undefined],
  ['', undefined],
])('%s -> %s', (word, expected) => {
  expect(nearest(word, NAMES)).toBe(expected);
});

test('swapped neighbours are one edit', () => {
  expect(nearest('cdua', ['cpu', 'cuda'])).toBe('cuda');
});
