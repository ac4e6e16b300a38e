import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packedBytes, packSigns, signOf, unpackSigns } from '../../../src/core/numbers/bits.ts';

describe('signOf', () => {
  it.each([
    [0, 1],
    [-0, 1],
    [Number.NaN, -1],
    [Infinity, 1],
    [-Infinity, -1],
    [Number.MIN_VALUE, 1],
    [-Number.MIN_VALUE, -1],
  ])('%s → %s', (x, sign) => expect(signOf(x)).toBe(sign));
});

describe('packSigns', () => {
  it('puts element 8j + b into bit b of byte j and leaves pad bits 0', () => {
    expect([...packSigns([1, -1, -1, -1, -1, -1, -1, 1, -1, 1], 10)]).toEqual([0b1000_0001, 0b10]);
  });

  it('equals a string of binary digits, most significant first, reversed', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }), (signs) => {
        const digits = signs
          .map((plus) => (plus ? '1' : '0'))
          .reverse()
          .join('');
        const value = [
          ...packSigns(
            signs.map((plus) => (plus ? 0.5 : -0.5)),
            signs.length,
          ),
        ].reduce((sum, byte, j) => sum + BigInt(byte) * 256n ** BigInt(j), 0n);
        expect(value).toBe(BigInt(`0b${digits}`));
      }),
    );
  });

  it('is undone by unpackSigns for any number of rows and any length', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 70 }),
        fc.infiniteStream(fc.boolean()),
        (rows, length, bits) => {
          const x = Float32Array.from({ length: rows * length }, () => (bits.next().value ? 1 : -1));
          const packed = packSigns(x, length);
          expect(packed.length).toBe(rows * packedBytes(length));
          expect(unpackSigns(packed, length)).toEqual(x);
        },
      ),
    );
  });

  it('refuses sizes that do not fit', () => {
    expect(() => packSigns([1, 1, 1], 2)).toThrow('cannot pack 3 elements into rows of 2');
    expect(() => unpackSigns(new Uint8Array(3), 9)).toThrow('cannot unpack 3 bytes into rows of 9 bits (2 bytes)');
  });
});
