import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeSafetensors, encodeSafetensors } from '../../../src/core/formats/safetensors.ts';
import { float32, int64s, type Tensor, tensor } from '../../../src/core/tensors/tensor.ts';
import { BnnError } from '../../../src/errors.ts';

/** A file put together by hand from the format's description. */
function handMade(header: string, data: number[]): Uint8Array {
  const json = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + json.length + data.length);
  new DataView(file.buffer).setUint32(0, json.length, true);
  file.set(json, 8);
  file.set(data, 8 + json.length);
  return file;
}

describe('safetensors', () => {
  it('reads a file made by hand', () => {
    const header = '{"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"__metadata__":{"k":"v"}}';
    const { tensors, metadata } = decodeSafetensors(handMade(header, [0, 0, 128, 63, 0, 0, 0, 192]));
    expect(tensors.get('a')).toEqual(float32([1, 2], [1, -2]));
    expect(metadata).toEqual({ k: 'v' });
  });

  it('gives back what it wrote', () => {
    const tensors = new Map<string, Tensor>([
      ['weights', float32([2, 2], [1, -0, Infinity, 1e-40])],
      ['counts', int64s([1, -(2 ** 40)])],
      ['empty', tensor('uint8', [0, 3], new Uint8Array(0))],
    ]);
    const file = encodeSafetensors(tensors, { note: 'ä' });
    expect(decodeSafetensors(file)).toEqual({ tensors, metadata: { note: 'ä' } });
    expect(Number(new DataView(file.buffer).getBigUint64(0, true)) % 8).toBe(0);
  });

  it.each([
    ['an empty file', new Uint8Array(0), 'the header length alone takes 8'],
    ['a header longer than the file', Uint8Array.of(255, 0, 0, 0, 0, 0, 0, 0, 1), 'header of 255 bytes in a file of 9'],
    ['a header that is not JSON', handMade('{', []), 'the header is not JSON'],
    [
      'data beyond the end',
      handMade('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', [0]),
      'lies at bytes 0..8 of 1',
    ],
    [
      'a shape that does not fit',
      handMade('{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}', [0, 0, 0, 0, 0, 0, 0, 0]),
      'needs 12 bytes but 8 are stored',
    ],
    ['an unknown dtype', handMade('{"a":{"dtype":"Q4","shape":[0],"data_offsets":[0,0]}}', []), 'has dtype "Q4"'],
    [
      'a dtype that is no text',
      handMade(`{"a":{"dtype":${'['.repeat(5000)}${']'.repeat(5000)},"shape":[0],"data_offsets":[0,0]}}`, []),
      'has dtype a list of 1',
    ],
    [
      'offsets that are no integers',
      handMade('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1.5]}}', [0, 0]),
      'lacks a shape or offsets',
    ],
    ['an entry that is no object', handMade('{"a":null}', []), 'has dtype undefined'],
    [
      'tensors that overlap',
      handMade(
        '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}',
        [1, 2, 3],
      ),
      'tensor "b" begins at byte 1 of the data, expected 2',
    ],
    [
      'bytes between tensors',
      handMade(
        '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}',
        [1, 2, 3],
      ),
      'tensor "b" begins at byte 2 of the data, expected 1',
    ],
    [
      'bytes behind the last tensor',
      handMade('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', [1, 2]),
      '2 bytes of data, but the tensors end at 1',
    ],
    [
      'a name that occurs twice',
      handMade(
        '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
        [1, 2],
      ),
      'a name occurs twice',
    ],
    ['metadata that is no object', handMade('{"__metadata__":null}', []), '__metadata__ is null, expected texts'],
    ['metadata that is a list', handMade('{"__metadata__":["a"]}', []), '__metadata__ is ["a"], expected texts'],
    [
      'metadata that is no text',
      handMade('{"__metadata__":{"a":{"b":1}}}', []),
      'entry "a" of __metadata__ is an object, expected a text',
    ],
  ])('refuses %s', (_, file, message) => expect(() => decodeSafetensors(file)).toThrow(message));

  it('reads names with quotes, colons and braces, and tensors in any order of the header', () => {
    const header =
      '{"b\\":{": {"dtype":"U8","shape":[1],"data_offsets":[1,2]}, "a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}';
    const { tensors } = decodeSafetensors(handMade(header, [5, 6]));
    expect(Array.from(tensors, ([name, { data }]) => [name, ...data])).toEqual([
      ['b":{', 6],
      ['a', 5],
    ]);
  });

  it('answers random damage with a BnnError or a result', () => {
    const valid = encodeSafetensors(new Map([['w', float32([4], [1, 2, 3, 4])]]), { a: 'b' });
    fc.assert(
      fc.property(fc.nat(valid.length - 1), fc.nat(255), fc.nat(valid.length), (at, byte, length) => {
        const damaged = valid.slice(0, Math.max(at + 1, length));
        damaged[at] = byte;
        try {
          decodeSafetensors(damaged);
        } catch (error) {
          expect(error).toBeInstanceOf(BnnError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
