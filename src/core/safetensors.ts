/**
 * The safetensors format (github.com/huggingface/safetensors, "Format"): u64 header length, JSON header
 * `{name: {dtype, shape, data_offsets}, __metadata__: {string: string}}`, then the tensors' bytes.
 */

import { BnnError } from '../errors.ts';
import { bytesOf, type Dtype, fromBytes, type Tensor } from './tensor.ts';

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
 * @throws {BnnError} E_FORMAT when the header or an entry does not fit the file.
 */
export function decodeSafetensors(file: Uint8Array, at?: string): Safetensors {
  const fail = (message: string): never => {
    throw new BnnError('E_FORMAT', `not a safetensors file: ${message}`, { at });
  };
  if (file.byteLength < 8) fail(`${file.byteLength} bytes, the header length alone takes 8`);
  const headerBytes = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  if (headerBytes > file.byteLength - 8) fail(`header of ${headerBytes} bytes in a file of ${file.byteLength}`);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(file.subarray(8, 8 + headerBytes)));
  } catch {
    fail('the header is not JSON');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) fail('the header is not a JSON object');
  const data = file.subarray(8 + headerBytes);
  const tensors = new Map<string, Tensor>();
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(header as Record<string, unknown>)) {
    if (name === '__metadata__') {
      metadata = entry as Record<string, string>;
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
    const known = DTYPE_OF.get(String(dtype));
    if (known === undefined) throw new BnnError('E_UNSUPPORTED', `tensor "${name}" has dtype ${String(dtype)}`, { at });
    if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) fail(`tensor "${name}" lacks a shape or offsets`);
    const [begin = 0, end = 0] = offsets as number[];
    if (begin > end || end > data.byteLength) {
      fail(`tensor "${name}" lies at bytes ${begin}..${end} of ${data.byteLength}`);
    }
    tensors.set(name, fromBytes(known, shape as number[], data.subarray(begin, end), at));
  }
  return { tensors, metadata };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}
