/** The two layouts in which CIFAR-10 is distributed: fixed-size binary records, and pickles of NumPy arrays. */

import { createNumpyConstructors, PickledArray } from '../core/numpy-pickle.ts';
import { decodePickle } from '../core/pickle.ts';
import { BnnError } from '../errors.ts';

const PIXELS = 32 * 32 * 3;
const CLASS_COUNT = 10;
const RECORD = 1 + PIXELS;
const IMAGES = 10_000;

/** The images of one batch: u8[3][32][32] at `pixels[pixelsAt(i)]` each. */
export interface CifarRecords {
  readonly count: number;
  readonly pixels: Uint8Array;
  pixelsAt(i: number): number;
  labelOf(i: number): number;
}

export interface CifarLayout {
  readonly train: readonly string[];
  readonly test: readonly string[];
  /** Names under which the official site distributes it. */
  readonly folder: string;
  readonly archive: string;
  /** More than any of its files takes. */
  readonly maximumBytes: number;
  /** @throws {BnnError} E_FORMAT when a file of this size cannot be a batch. */
  checkSize(sizeBytes: number, at: string): void;
  /** @throws {BnnError} E_FORMAT when the bytes are not a batch or a label is out of range. */
  decode(bytes: Uint8Array, at: string): CifarRecords;
}

const DAMAGED = 'the file is damaged or is not CIFAR-10: fetch it again';

/** Records of one label byte and 3072 pixel bytes. */
export const CIFAR10_BINARY: CifarLayout = {
  train: [1, 2, 3, 4, 5].map((n) => `data_batch_${n}.bin`),
  test: ['test_batch.bin'],
  folder: 'cifar-10-batches-bin',
  archive: 'cifar-10-binary.tar.gz',
  maximumBytes: 2 * IMAGES * RECORD,
  checkSize(sizeBytes, at) {
    if (sizeBytes === IMAGES * RECORD) return;
    const expected = `expected ${IMAGES * RECORD} (${IMAGES} records of ${RECORD})`;
    throw new BnnError('E_FORMAT', `a batch of ${sizeBytes} bytes, ${expected}`, { at, hint: DAMAGED });
  },
  decode(bytes, at) {
    const count = bytes.length / RECORD;
    const labelOf = (i: number): number => bytes[i * RECORD] ?? 0;
    checkLabels(count, labelOf, at);
    return { count, pixels: bytes, pixelsAt: (i) => i * RECORD + 1, labelOf };
  },
};

/** A pickled dict with `data` u8[n][3072] and `labels`, a list of n integers. */
export const CIFAR10_PYTHON: CifarLayout = {
  train: [1, 2, 3, 4, 5].map((n) => `data_batch_${n}`),
  test: ['test_batch'],
  folder: 'cifar-10-batches-py',
  archive: 'cifar-10-python.tar.gz',
  // Pickles that went through protocol 0 to 2 of Python 3 spell a byte with up to two or four characters.
  maximumBytes: 5 * IMAGES * RECORD,
  checkSize(sizeBytes, at) {
    if (sizeBytes >= IMAGES * RECORD && sizeBytes <= this.maximumBytes) return;
    const expected = `expected at least ${IMAGES * RECORD} for ${IMAGES} images`;
    throw new BnnError('E_FORMAT', `a batch of ${sizeBytes} bytes, ${expected}`, { at, hint: DAMAGED });
  },
  decode(bytes, at) {
    const value = decodePickle(bytes, { construct: createNumpyConstructors(bytes.length), at });
    const data = entryOf(value, 'data');
    const labels = entryOf(value, 'labels');
    if (!(data instanceof PickledArray)) throw notABatch('no array "data"', at);
    const { dtype, shape, data: pixels } = data.tensor;
    const [count = 0, width] = shape;
    if (dtype !== 'uint8' || !(pixels instanceof Uint8Array) || shape.length !== 2 || width !== PIXELS) {
      throw notABatch(`"data" is ${dtype}[${shape.join(', ')}], expected uint8[n, ${PIXELS}]`, at);
    }
    if (!Array.isArray(labels) || labels.length !== count) throw notABatch(`no list "labels" of ${count} numbers`, at);
    const labelOf = (i: number): number => Number(labels[i]);
    checkLabels(count, labelOf, at);
    return { count, pixels, pixelsAt: (i) => i * PIXELS, labelOf };
  },
};

/** Keys written by Python 3 from Python 2 strings read with `encoding='bytes'` are bytes. */
function entryOf(value: unknown, key: string): unknown {
  if (!(value instanceof Map)) return undefined;
  for (const [found, entry] of value) {
    if (found === key || (found instanceof Uint8Array && Buffer.from(found).toString('latin1') === key)) return entry;
  }
  return undefined;
}

function notABatch(message: string, at: string): BnnError {
  return new BnnError('E_FORMAT', `not a CIFAR-10 batch: ${message}`, { at, hint: DAMAGED });
}

function checkLabels(count: number, labelOf: (i: number) => number, at: string): void {
  for (let i = 0; i < count; i++) {
    const label = labelOf(i);
    if (Number.isInteger(label) && label >= 0 && label < CLASS_COUNT) continue;
    const message = `label ${label} of image ${i}, expected 0 to ${CLASS_COUNT - 1}`;
    throw new BnnError('E_FORMAT', message, { at, hint: DAMAGED });
  }
}
