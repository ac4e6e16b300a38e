/** Bytes that are no model: an error of ours or success, within bounds of time and memory, and never a crash. */

import { describe, expect, test } from 'vitest';
import { Rng } from '../../src/core/numbers/rng.ts';
import { BnnError } from '../../src/errors.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { convModel, functionModel } from './sample-models.ts';

const VALID = [encodeModel(convModel()), encodeModel(functionModel())];
const MEMORY_LIMIT_BYTES = 512 * 2 ** 20;

/** Whether the bytes decode; anything thrown but a BnnError fails the test. */
function decodes(bytes: Uint8Array): boolean {
  try {
    decodeModel(bytes, { at: 'file.onnx' });
    return true;
  } catch (error) {
    if (error instanceof BnnError && error.at?.startsWith('file.onnx') === true) return false;
    throw error;
  }
}

function failure(bytes: Uint8Array): BnnError {
  try {
    decodeModel(bytes, { at: 'file.onnx' });
  } catch (error) {
    if (error instanceof BnnError) return error;
    throw error;
  }
  throw new Error('decoded without an error');
}

function mutate(valid: Uint8Array, rng: Rng): Uint8Array {
  let bytes = Uint8Array.from(valid);
  const edits = 1 + rng.below(4);
  for (let edit = 0; edit < edits && bytes.length > 0; edit++) {
    const at = rng.below(bytes.length);
    switch (rng.below(5)) {
      case 0:
        bytes[at] = rng.below(256);
        break;
      case 1:
        bytes[at] = bytes[at]! ^ (1 << rng.below(8));
        break;
      case 2:
        bytes = bytes.slice(0, at);
        break;
      case 3: {
        const end = at + rng.below(20);
        bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(end)]);
        break;
      }
      default: {
        const from = rng.below(bytes.length);
        bytes.copyWithin(at, from, from + rng.below(40));
      }
    }
  }
  return bytes;
}

describe('malformed files', () => {
  test('6000 random mutations end in a model or in a BnnError', () => {
    const rng = new Rng(1);
    const memoryBefore = process.memoryUsage().rss;
    let decoded = 0;
    for (let i = 0; i < 6000; i++) if (decodes(mutate(VALID[i % VALID.length]!, rng))) decoded++;
    expect(decoded).toBeGreaterThan(0);
    expect(decoded).toBeLessThan(6000);
    expect(process.memoryUsage().rss - memoryBefore).toBeLessThan(MEMORY_LIMIT_BYTES);
  });

  test('every truncation ends in a model or in a BnnError', () => {
    for (const valid of VALID) for (let end = 0; end < valid.length; end++) decodes(valid.subarray(0, end));
  });

  test('3000 random files are no models', () => {
    const rng = new Rng(2);
    for (let i = 0; i < 3000; i++) {
      const bytes = Uint8Array.from({ length: rng.below(400) }, () => rng.below(256));
      expect(decodes(bytes)).toBe(false);
    }
  });

  test.each<[string, Uint8Array]>([
    ['empty file', new Uint8Array()],
    ['text', new TextEncoder().encode('<!doctype html><html><body>404: not found</body></html>')],
    ['zip archive', Uint8Array.of(0x50, 0x4b, 3, 4, 20, 0, 0, 0, 8, 0)],
    ['zeros', new Uint8Array(1000)],
    ['another message', Uint8Array.of(0xa2, 0x06, 2, 8, 1)],
    ['length beyond the end', Uint8Array.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0x07)],
    ['varint without an end', new Uint8Array(64).fill(0xff)],
    ['groups in groups', new Uint8Array(100000).fill(0x0b)],
  ])('%s: said to be no ONNX file', (_, bytes) => {
    const error = failure(bytes);
    expect(error.code).toBe('E_FORMAT');
    expect(error.message).toMatch(/^not an ONNX file: /);
    expect(error.at).toBe('file.onnx');
    expect(error.hint).toMatch(/complete|download|fetch/);
  });

  test('a truncated file is reported with the byte', () => {
    const valid = VALID[0]!;
    expect(failure(valid.subarray(0, valid.length - 40)).message).toMatch(/near byte \d+ of \d+$/);
  });

  test('messages nested without end are refused', () => {
    // graph > node > attribute > graph > node > …: fields 1, 5, 6 of the respective messages.
    let bytes = new Uint8Array();
    for (let depth = 0; depth < 300; depth++) bytes = field([6, 5, 1][depth % 3]!, bytes);
    expect(failure(field(7, bytes)).message).toMatch(/^not an ONNX file: .*depth/);
  });

  test('a file of empty messages costs bounded memory', () => {
    const memoryBefore = process.memoryUsage().rss;
    // Two bytes each: nodes of a graph.
    const nodes = new Uint8Array(2 ** 22);
    for (let i = 0; i < nodes.length; i += 2) nodes[i] = 0x0a;
    expect(failure(field(7, nodes)).message).toMatch(/^not an ONNX file: more than \d+ texts and messages, near byte/);
    expect(process.memoryUsage().rss - memoryBefore).toBeLessThan(MEMORY_LIMIT_BYTES);
  });

  test('packed numbers take the memory of a typed array', () => {
    const count = 12_000_000;
    // The initializer: dims = [count], data_type = INT64, int64_data = zeros, a byte each.
    const tensor = concat(
      varintField(1, count),
      varintField(2, 7),
      field(7, new Uint8Array(count)),
      field(8, text('w')),
    );
    const bytes = concat(varintField(1, 8), field(7, field(5, tensor)), field(8, varintField(2, 17)));
    const memoryBefore = process.memoryUsage().rss;
    expect(decodeModel(bytes).graph.values.get('w')?.shape).toEqual([count]);
    expect(process.memoryUsage().rss - memoryBefore).toBeLessThan(MEMORY_LIMIT_BYTES / 2);
  });

  test.each<[string, Uint8Array, RegExp]>([
    [
      'dimensions without end',
      concat(...Array<Uint8Array>(65).fill(varintField(1, 1)), varintField(2, 1)),
      /65 dimensions, expected at most 64/,
    ],
    [
      'a run that ends inside a number',
      concat(varintField(1, 1), varintField(2, 7), field(7, Uint8Array.of(0x80))),
      /int64_data ends inside a number/,
    ],
    [
      'a number of 11 bytes',
      concat(varintField(1, 1), varintField(2, 7), field(7, new Uint8Array(11).fill(0x80).fill(1, 10))),
      /int64_data ends inside a number/,
    ],
    [
      'half a float',
      concat(varintField(1, 1), varintField(2, 1), field(4, new Uint8Array(6))),
      /float_data ends inside a number/,
    ],
  ])('%s: refused', (_, tensor, message) => {
    const bytes = concat(
      varintField(1, 8),
      field(7, field(5, concat(tensor, field(8, text('w'))))),
      field(8, varintField(2, 17)),
    );
    expect(failure(bytes).message).toMatch(message);
  });

  test('numbers that are not packed are counted', () => {
    // dims of a tensor, two bytes each.
    const dims = new Uint8Array(10_000_000);
    for (let i = 0; i < dims.length; i += 2) dims[i] = 0x08;
    expect(failure(field(7, field(5, dims))).message).toMatch(/more than \d+ numbers that are not packed/);
  });
});

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.concat(parts));
}

function varintField(number: number, value: number): Uint8Array {
  const bytes = [number << 3];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Uint8Array.of(...bytes, value);
}

/** A length-delimited protobuf field. */
function field(number: number, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const header = [(number << 3) | 2];
  let length = content.length;
  for (; length > 127; length >>>= 7) header.push((length & 127) | 128);
  header.push(length);
  const bytes = new Uint8Array(header.length + content.length);
  bytes.set(header);
  bytes.set(content, header.length);
  return bytes;
}
