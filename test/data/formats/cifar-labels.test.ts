/** The labels of pickled batches: lists of numbers, as the official files have them, and what NumPy writes. */

import { describe, expect, it } from 'vitest';
import { pythonLayout } from '../../../src/data/formats/cifar-layouts.ts';
import { BnnError } from '../../../src/errors.ts';

const IMAGES = 3;
const LAYOUT = pythonLayout(
  { title: 'CIFAR-10', classCount: 10, train: [{ name: 'a', images: IMAGES }], test: [], folder: '', archive: '' },
  'labels',
);

const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const dtype = (name: string): string =>
  `cnumpy\ndtype\nU\x02${name}K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb`;
/** An array of `shape`, a tuple in opcodes. */
const array = (name: string, shape: string, bytes: string): string => {
  const size = String.fromCharCode(...new Uint8Array(Uint32Array.of(bytes.length).buffer));
  return `cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01${shape}${dtype(name)}\x89T${size}${bytes}tb`;
};
const int64 = (value: number): string => `${String.fromCharCode(value)}${'\0'.repeat(7)}`;
const batch = (labels: string): Uint8Array =>
  latin1(`\x80\x02}(U\x04data${array('u1', 'K\x03M\x00\x0c\x86', '\x05'.repeat(IMAGES * 3072))}U\x06labels${labels}u.`);
const scalar = (value: number): string => `cnumpy._core.multiarray\nscalar\n${dtype('i8')}U\x08${int64(value)}\x86R`;

function labelsOf(labels: string): number[] {
  const { count, labelOf } = LAYOUT.decode(batch(labels), 'data_batch_1');
  return Array.from({ length: count }, (_, i) => labelOf(i));
}

describe('labels of a pickled batch', () => {
  it.each([
    ['a list', '](K\x03K\x01K\x04e'],
    ['a tuple', 'K\x03K\x01K\x04\x87'],
    ['a list of NumPy scalars', `](${[3, 1, 4].map(scalar).join('')}e`],
    ['a NumPy array', array('i8', 'K\x03\x85', [3, 1, 4].map(int64).join(''))],
    ['a column', array('u1', 'K\x03K\x01\x86', '\x03\x01\x04')],
  ])('%s', (_, labels) => {
    expect(labelsOf(labels)).toEqual([3, 1, 4]);
  });

  it.each([
    ['none', 'N', '"labels" is null, expected 3 numbers'],
    ['too few', '](K\x03K\x01e', '"labels" is [3, 1], expected 3 numbers'],
    [
      'one-hot vectors',
      array('u1', 'K\x03K\x02\x86', '\x01\x00'.repeat(3)),
      '"labels" is uint8[3, 2], expected 3 numbers',
    ],
    ['names', '](U\x03catU\x03dogU\x03owle', '"labels" is a list with "cat" in it, expected numbers'],
    [
      'what is endless as text',
      `]${'q\x000(h\x00h\x00l'.repeat(60)}q\x000](K\x01K\x02h\x00e`,
      '"labels" is a list with a list of 2 in it, expected numbers',
    ],
    ['a class that is not there', '](K\x03K\x0aK\x04e', 'label 10 of image 1, expected 0 to 9'],
  ])('%s', (_, labels, message) => {
    try {
      labelsOf(labels);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(BnnError);
      expect(error).toMatchObject({ code: 'E_FORMAT', at: 'data_batch_1' });
      expect((error as BnnError).message).toContain(message);
      if (!message.startsWith('label ')) expect((error as BnnError).hint).not.toContain('damaged');
    }
  });
});
