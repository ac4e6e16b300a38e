/**
 * Tensor data as text: `[1, 2.5, -0, nan]`, or `base64"…"` of the little-endian bytes when there are many elements. float16 and
 * bfloat16 elements are their bits: `0x3c00`.
 */

import { elementCount } from '../core/tensors/shape.ts';
import {
  bytesOf,
  bytesPerElement,
  createArray,
  type Dtype,
  fromBytes,
  type Tensor,
  tensor,
  toNumbers,
} from '../core/tensors/tensor.ts';
import { formatFloat32, formatFloat64, NUMBER, parseFloatText } from './number-text.ts';
import type { TextScanner } from './text-scanner.ts';

/** `full` reads back exactly; `summary` leaves out the data of tensors with more than 32 elements. */
export type DataForm = 'full' | 'summary';

const LISTED_ELEMENTS = 32;
const BASE64 = /base64"([A-Za-z0-9+/=]*)"/y;

export function formatData(t: Tensor, form: DataForm): string {
  const many = t.data.length > LISTED_ELEMENTS;
  if (many && form === 'summary') return '...';
  if (many || hasUnusualNan(t)) return `base64"${Buffer.from(bytesOf(t)).toString('base64')}"`;
  return `[${elementTexts(t).join(', ')}]`;
}

function elementTexts(t: Tensor): string[] {
  const elements: readonly (number | bigint)[] = Array.from(t.data as ArrayLike<number | bigint>);
  switch (t.dtype) {
    case 'float32':
      return elements.map((x) => formatFloat32(Number(x)));
    case 'float64':
      return elements.map((x) => formatFloat64(Number(x)));
    case 'float16':
    case 'bfloat16':
      return elements.map((x) => `0x${x.toString(16).padStart(4, '0')}`);
    default:
      return elements.map(String);
  }
}

/** Whether a NaN has a sign or payload that the word `nan` would lose. */
function hasUnusualNan(t: Tensor): boolean {
  if (t.dtype !== 'float32' && t.dtype !== 'float64') return false;
  const width = bytesPerElement(t.dtype);
  const usual = new Uint8Array(createArray(t.dtype, 1).fill(Number.NaN).buffer);
  const bytes = bytesOf(t);
  return toNumbers(t).some((x, i) => Number.isNaN(x) && usual.some((byte, j) => byte !== bytes[i * width + j]));
}

/**
 * The inverse of `formatData`.
 *
 * @throws {BnnError} E_FORMAT with line and column.
 */
export function parseData(scanner: TextScanner, dtype: Dtype, shape: readonly number[]): Tensor {
  const count = elementCount(shape);
  if (scanner.accept('...')) scanner.fail('the data; this text is a summary without them', '...');
  const position = scanner.mark();
  const base64 = scanner.match(BASE64);
  if (base64 !== undefined) return fromBytes(dtype, shape, Buffer.from(base64[1] ?? '', 'base64'), position.text);
  // An element takes a character at least, so a shape that promises more than there are costs no memory.
  const data = createArray(dtype, Math.min(count, scanner.remaining));
  let index = 0;
  scanner.expect('[', 'a list of numbers or base64"…"');
  for (let first = true; !scanner.accept(']'); first = false) {
    if (!first) scanner.expect(',', '"," or "]"');
    const begin = scanner.mark();
    const text = scanner.match(NUMBER)?.[0] ?? scanner.fail('a number');
    if (index < count && !storeElement(data, dtype, index, text)) begin.fail(`a number of type ${dtype}`, text);
    index++;
  }
  if (index !== count) position.fail(`${count} elements for shape [${shape.join(', ')}]`, `${index}`);
  return tensor(dtype, shape, data);
}

/** Whether the text was a number of the type. */
function storeElement(data: Tensor['data'], dtype: Dtype, index: number, text: string): boolean {
  if (data instanceof Float32Array || data instanceof Float64Array) {
    data[index] = parseFloatText(text);
    return !text.startsWith('0x');
  }
  if (text.startsWith('0x') !== (dtype === 'float16' || dtype === 'bfloat16') || !/^(0x|-?\d+$)/.test(text))
    return false;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    data[index] = BigInt(text);
    return data[index] === BigInt(text);
  }
  data[index] = Number(text);
  return data[index] === Number(text);
}
