import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeSafetensors, encodeSafetensors } from '../../src/core/safetensors.ts';
import { float32, int64s, type Tensor, tensor } from '../../src/core/tensor.ts';
import { BnnError } from '../../src/errors.ts';

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
    ['an unknown dtype', handMade('{"a":{"dtype":"Q4","shape":[0],"data_offsets":[0,0]}}', []), 'has dtype Q4'],
  ])('refuses %s', (_, file, message) => expect(() => decodeSafetensors(file)).toThrow(message));

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
