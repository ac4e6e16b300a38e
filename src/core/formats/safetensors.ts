/**
 * The safetensors format (github.com/huggingface/safetensors, "Format"): u64 header length, JSON header
 * `{name: {dtype, shape, data_offsets}, __metadata__: {string: string}}`, then the tensors' bytes.
 */

import { BnnError } from '../../errors.ts';
import { describeValue } from '../describe-value.ts';
import { bytesOf, type Dtype, fromBytes, type Tensor } from '../tensors/tensor.ts';

export interface Safetensors {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

const NAME_OF: Readonly<Record<Dtype, string>> = {
  float32: 'F32',
  float64: 'F64',
  float16: 'F16',
  bfloat16: 'BF16',
  int8: 'I8',
  uint8: 'U8',
  int16: 'I16',
  uint16: 'U16',
  int32: 'I32',
  uint32: 'U32',
  int64: 'I64',
  uint64: 'U64',
  bool: 'BOOL',
};
const DTYPE_OF = new Map(Object.entries(NAME_OF).map(([dtype, name]) => [name, dtype as Dtype]));

/** Encodes tensors in the given order; the header is padded with spaces so that the data start 8-byte aligned. */
export function encodeSafetensors(
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) header.push(['__metadata__', metadata]);
  const chunks: Uint8Array[] = [];
  let offset = 0;
  for (const [name, t] of tensors) {
    const bytes = bytesOf(t);
    header.push([name, { dtype: NAME_OF[t.dtype], shape: t.shape, data_offsets: [offset, offset + bytes.byteLength] }]);
    chunks.push(bytes);
    offset += bytes.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const headerBytes = Math.ceil(json.byteLength / 8) * 8;
  const file = new Uint8Array(8 + headerBytes + offset);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(0x20, 8, 8 + headerBytes);
  file.set(json, 8);
  let at = 8 + headerBytes;
  for (const chunk of chunks) {
    file.set(chunk, at);
    at += chunk.byteLength;
  }
  return file;
}

/**
 * Decodes a safetensors file.
 *
 * @throws {BnnError} E_FORMAT when the header or an entry does not fit the file, as where the reference implementation refuses it;
 *   E_UNSUPPORTED for a type that is not read.
 */
export function decodeSafetensors(file: Uint8Array, at?: string): Safetensors {
  const { header, data } = parts(file, at);
  const tensors = new Map<string, Tensor>();
  let metadata: Safetensors['metadata'] = {};
  const places: Place[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') {
      metadata = checkMetadata(entry, at);
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = isObject(entry) ? entry : {};
    const known = typeof dtype === 'string' ? DTYPE_OF.get(dtype) : undefined;
    if (known === undefined) {
      const message = `tensor ${describeValue(name)} has dtype ${describeValue(dtype)}`;
      throw new BnnError('E_UNSUPPORTED', message, { at, hint: `known: ${[...DTYPE_OF.keys()].join(', ')}` });
    }
    if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
      throw failure(`tensor ${describeValue(name)} lacks a shape or offsets`, at);
    }
    const [begin = 0, end = 0] = offsets;
    if (begin > end || end > data.byteLength) {
      throw failure(`tensor ${describeValue(name)} lies at bytes ${begin}..${end} of ${data.byteLength}`, at);
    }
    places.push({ name, begin, end });
    tensors.set(name, fromBytes(known, shape, data.subarray(begin, end), at));
  }
  checkPlaces(places, data.byteLength, at);
  return { tensors, metadata };
}

interface Place {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}

type Fields = Readonly<Record<string, unknown>>;

function parts(file: Uint8Array, at: string | undefined): { readonly header: Fields; readonly data: Uint8Array } {
  if (file.byteLength < 8) throw failure(`${file.byteLength} bytes, the header length alone takes 8`, at);
  const headerBytes = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  if (headerBytes > file.byteLength - 8) {
    throw failure(`header of ${headerBytes} bytes in a file of ${file.byteLength}`, at);
  }
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(file.subarray(8, 8 + headerBytes));
    header = JSON.parse(text);
  } catch {
    throw failure('the header is not JSON', at);
  }
  if (!isObject(header)) throw failure('the header is not a JSON object', at);
  if (countKeys(text) !== Object.keys(header).length) throw failure('a name occurs twice in the header', at);
  return { header, data: file.subarray(8 + headerBytes) };
}

/** Keys of the outermost object of a JSON text; JSON.parse keeps the last of equal ones without a word. */
function countKeys(json: string): number {
  let depth = 0;
  let count = 0;
  let isText = false;
  // No regular expression: texts may be longer than its stack.
  for (let i = 0; i < json.length; i++) {
    const character = json[i];
    if (isText && character === '\\') i++;
    else if (character === '"') isText = !isText;
    else if (isText) continue;
    else if (character === '{' || character === '[') depth++;
    else if (character === '}' || character === ']') depth--;
    else if (character === ':' && depth === 1) count++;
  }
  return count;
}

function checkMetadata(entry: unknown, at: string | undefined): Safetensors['metadata'] {
  if (!isObject(entry)) throw failure(`__metadata__ is ${describeValue(entry)}, expected texts by name`, at);
  for (const [name, value] of Object.entries(entry)) {
    if (typeof value === 'string') continue;
    throw failure(`entry ${describeValue(name)} of __metadata__ is ${describeValue(value)}, expected a text`, at);
  }
  return entry as Safetensors['metadata'];
}

/** The tensors lie one behind the other and take all of the data: no byte is in two of them, or in none. */
function checkPlaces(places: readonly Place[], dataBytes: number, at: string | undefined): void {
  let expected = 0;
  for (const { name, begin, end } of places.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== expected) {
      throw failure(`tensor ${describeValue(name)} begins at byte ${begin} of the data, expected ${expected}`, at);
    }
    expected = end;
  }
  if (expected !== dataBytes) throw failure(`${dataBytes} bytes of data, but the tensors end at ${expected}`, at);
}

function failure(message: string, at: string | undefined): BnnError {
  return new BnnError('E_FORMAT', `not a safetensors file: ${message}`, {
    at,
    hint: 'the file is truncated or damaged: fetch it again',
  });
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}
