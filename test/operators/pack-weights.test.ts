import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tensor } from '../../src/core/tensors/tensor.ts';
import {
  negateOutputs,
  packConvWeights,
  packGemmWeights,
  unpackConvWeights,
  unpackGemmWeights,
} from '../../src/operators/pack-weights.ts';

describe('packConvWeights', () => {
  it('puts channel 8j + b of a tap into bit b of byte j', () => {
    // One output, 9 channels, kernel 1 × 2: channels 0 and 8 are positive at the first tap, channel 1 at the second.
    const weights = new Float32Array(18).fill(-0.5);
    weights[0 * 2 + 0] = 2;
    weights[8 * 2 + 0] = 0;
    weights[1 * 2 + 1] = 1e-30;
    const packed = packConvWeights(weights, [1, 9, 1, 2]);
    expect(packed.shape).toEqual([1, 1, 2, 2]);
    expect([...packed.data]).toEqual([0b1, 0b1, 0b10, 0b0]);
  });

  it('is undone by unpackConvWeights up to the sign', () => {
    const sizes = fc.tuple(fc.nat(3), fc.nat(19), fc.nat(2), fc.nat(2)).map((dims) => dims.map((size) => size + 1));
    fc.assert(
      fc.property(sizes, fc.infiniteStream(fc.double({ noNaN: true })), (shape, stream) => {
        const count = shape.reduce((a, b) => a * b, 1);
        const weights = Array.from({ length: count }, () => stream.next().value as number);
        const signs = unpackConvWeights(packConvWeights(weights, shape), shape[1]!);
        expect(signs.shape).toEqual(shape);
        expect([...signs.data]).toEqual(weights.map((w) => (w >= 0 ? 1 : -1)));
      }),
    );
  });

  it('refuses sizes that do not fit', () => {
    expect(() => packConvWeights([1, 2], [1, 2])).toThrow('expected [O, C, kH, kW]');
    expect(() => packConvWeights([1, 2, 3], [1, 2, 1, 1])).toThrow('3 weights of shape [1, 2, 1, 1]');
    expect(() => unpackConvWeights(tensor('uint8', [1, 1, 1, 2], new Uint8Array(2)), 8)).toThrow('rows of 2 bytes');
    expect(() => unpackConvWeights(tensor('int8', [1, 1, 1, 1], new Int8Array(1)), 8)).toThrow('expected uint8');
  });
});

describe('packGemmWeights', () => {
  it('packs each row on its own, pad bits 0', () => {
    const packed = packGemmWeights([1, -1, 1, -1, -1, -1], [2, 3]);
    expect(packed.shape).toEqual([2, 1]);
    expect([...packed.data]).toEqual([0b101, 0]);
    expect([...unpackGemmWeights(packed, 3).data]).toEqual([1, -1, 1, -1, -1, -1]);
  });

  it('refuses sizes that do not fit', () => {
    expect(() => packGemmWeights([1, 2, 3], [2, 2])).toThrow('expected [N, K]');
    expect(() => unpackGemmWeights(tensor('uint8', [4], new Uint8Array(4)), 8)).toThrow('rank 2');
  });
});

describe('negateOutputs', () => {
  it('negates the weights of the named outputs and leaves pad bits 0', () => {
    const weights = Float32Array.from({ length: 3 * 10 * 2 }, (_, i) => (i % 7 < 3 ? 1 : -1));
    const packed = packConvWeights(weights, [3, 10, 2, 1]);
    const negated = negateOutputs(packed, 10, [true, false, true]);
    const expected = weights.map((w, i) => (Math.floor(i / 20) === 1 ? w : -w));
    expect(negated).toEqual(packConvWeights(expected, [3, 10, 2, 1]));
  });
});
