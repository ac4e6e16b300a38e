/** The two layouts in which CIFAR-10 and CIFAR-100 are distributed: fixed-size binary records, and pickles of NumPy arrays. */

import { describeValue } from '../../core/describe-value.ts';
import { numpyConstructor, PickledArray } from '../../core/pickle/numpy-pickle.ts';
import { decodePickle } from '../../core/pickle/pickle.ts';
import { toNumbers } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';

/** u8[3][32][32]. */
const PIXELS = 32 * 32 * 3;

/** The images of one file: u8[3][32][32] at `pixels[pixelsAt(i)]` each. */
export interface CifarRecords {
  readonly count: number;
  readonly pixels: Uint8Array;
  pixelsAt(i: number): number;
  labelOf(i: number): number;
}

/** A file and how many images it holds. */
export interface CifarFile {
  readonly name: string;
  readonly images: number;
}

export interface CifarLayout {
  readonly train: readonly CifarFile[];
  readonly test: readonly CifarFile[];
  /** Names under which the official site distributes it. */
  readonly folder: string;
  readonly archive: string;
  /** More than any of its files takes. */
  readonly maximumBytes: number;
  /** @throws {BnnError} E_FORMAT when a file of this size cannot hold so many images. */
  checkSize(sizeBytes: number, images: number, at: string): void;
  /** @throws {BnnError} E_FORMAT when the bytes are not such a file or a label is out of range. */
  decode(bytes: Uint8Array, at: string): CifarRecords;
}

/** What tells CIFAR-10 and CIFAR-100 apart. */
export interface CifarVariant {
  /** For messages, e.g. `CIFAR-10`. */
  readonly title: string;
  readonly classCount: number;
  readonly train: readonly CifarFile[];
  readonly test: readonly CifarFile[];
  readonly folder: string;
  readonly archive: string;
}

const damaged = (title: string): string => `the file is damaged or is not ${title}: fetch it again`;

function mostImages({ train, test }: CifarVariant): number {
  return Math.max(...[...train, ...test].map(({ images }) => images));
}

/**
 * Records of label bytes and 3072 pixel bytes.
 *
 * @param labelBytes  label bytes of a record; the last one is the class (CIFAR-100: coarse, then fine).
 */
export function binaryLayout(variant: CifarVariant, labelBytes: number): CifarLayout {
  const record = labelBytes + PIXELS;
  const hint = damaged(variant.title);
  return {
    ...variant,
    maximumBytes: 2 * mostImages(variant) * record,
    checkSize(sizeBytes, images, at) {
      if (sizeBytes === images * record) return;
      const expected = `expected ${images * record} (${images} records of ${record})`;
      throw new BnnError('E_FORMAT', `a batch of ${sizeBytes} bytes, ${expected}`, { at, hint });
    },
    decode(bytes, at) {
      const count = bytes.length / record;
      const labelOf = (i: number): number => bytes[i * record + labelBytes - 1] ?? 0;
      checkLabels(count, labelOf, variant, at);
      return { count, pixels: bytes, pixelsAt: (i) => i * record + labelBytes, labelOf };
    },
  };
}

/**
 * A pickled dict with `data` u8[n][3072] and a list of n labels.
 *
 * @param labelKey  the key of that list.
 */
export function pythonLayout(variant: CifarVariant, labelKey: string): CifarLayout {
  // Pickles that went through protocol 0 to 2 of Python 3 spell a byte with up to two or four characters.
  const maximumBytes = 5 * mostImages(variant) * PIXELS;
  const hint = damaged(variant.title);
  const notABatch = (message: string, at: string) =>
    new BnnError('E_FORMAT', `not a ${variant.title} batch: ${message}`, {
      at,
      hint: `expected a dict with "data", uint8[n, ${PIXELS}], and "${labelKey}", n class numbers, as the official files have them`,
    });
  return {
    ...variant,
    maximumBytes,
    checkSize(sizeBytes, images, at) {
      const least = images * (PIXELS + 1);
      if (sizeBytes >= least && sizeBytes <= maximumBytes) return;
      const expected = `expected at least ${least} for ${images} images`;
      throw new BnnError('E_FORMAT', `a batch of ${sizeBytes} bytes, ${expected}`, { at, hint });
    },
    decode(bytes, at) {
      const value = decodePickle(bytes, { construct: numpyConstructor, at });
      const data = entryOf(value, 'data');
      const labels = entryOf(value, labelKey);
      if (!(data instanceof PickledArray && data.isNumeric)) throw notABatch('no array "data" of numbers', at);
      const { dtype, shape, data: pixels } = data.tensor;
      const [count = 0, width] = shape;
      if (dtype !== 'uint8' || !(pixels instanceof Uint8Array) || shape.length !== 2 || width !== PIXELS) {
        throw notABatch(`"data" is ${dtype}[${shape.join(', ')}], expected uint8[n, ${PIXELS}]`, at);
      }
      const classes = labelsOf(labels, count);
      if (typeof classes === 'string') throw notABatch(`"${labelKey}" is ${classes}`, at);
      const labelOf = (i: number): number => classes[i] ?? -1;
      checkLabels(count, labelOf, variant, at);
      return { count, pixels, pixelsAt: (i) => i * PIXELS, labelOf };
    },
  };
}

/** Class numbers from a list of them or from a NumPy array; a text says what there is instead. */
function labelsOf(labels: unknown, count: number): readonly number[] | string {
  if (labels === undefined) return 'missing';
  if (labels instanceof PickledArray && !labels.isNumeric) return `an array, but not of numbers`;
  if (labels instanceof PickledArray) {
    const { dtype, shape } = labels.tensor;
    const isColumn = shape.slice(1).every((size) => size === 1);
    if (shape[0] === count && isColumn) return toNumbers(labels.tensor);
    return `${dtype}[${shape.join(', ')}], expected ${count} numbers`;
  }
  if (!Array.isArray(labels) || labels.length !== count) return `${describeValue(labels)}, expected ${count} numbers`;
  const list: readonly unknown[] = labels;
  const strange = list.find((label) => typeof label !== 'number');
  return strange === undefined
    ? (list as readonly number[])
    : `a list with ${describeValue(strange)} in it, expected numbers`;
}

/** Keys written by Python 3 from Python 2 strings read with `encoding='bytes'` are bytes. */
function entryOf(value: unknown, key: string): unknown {
  if (!(value instanceof Map)) return undefined;
  for (const [found, entry] of value) {
    if (found === key || (found instanceof Uint8Array && Buffer.from(found).toString('latin1') === key)) return entry;
  }
  return undefined;
}

function checkLabels(
  count: number,
  labelOf: (i: number) => number,
  { classCount, title }: CifarVariant,
  at: string,
): void {
  for (let i = 0; i < count; i++) {
    const label = labelOf(i);
    if (Number.isInteger(label) && label >= 0 && label < classCount) continue;
    const message = `label ${label} of image ${i}, expected 0 to ${classCount - 1}`;
    throw new BnnError('E_FORMAT', message, { at, hint: damaged(title) });
  }
}
