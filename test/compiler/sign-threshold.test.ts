import { describe, expect, it } from 'vitest';
import { signThreshold } from '../../src/compiler/sign-threshold.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { int } from '../../src/graph/attribute.ts';
import { packGemmWeights } from '../../src/operators/pack-weights.ts';
import { runNode } from '../operators/run-stock.ts';

/** Row m holds m values of +1: with weights of +1, a layer on it has every accumulator that it can have. */
function everyAccumulator(length: number): Float32Array {
  return Float32Array.from({ length: (length + 1) * length }, (_, i) => (i % length < Math.floor(i / length) ? 1 : -1));
}

describe('signThreshold', () => {
  it.each(['BinaryGemm', 'BinaryGemmRelu', 'BinaryGemmPRelu'])(
    'agrees with the sign of %s in stock onnxruntime for every accumulator',
    async (name) => {
      const [length, outputs] = [37, 400];
      const rng = new Rng(11);
      const vector = (draw: () => number) => Float32Array.from({ length: outputs }, draw);
      // Multiples of ¼ among them: results that are exactly 0, and zeros of both signs.
      const number = (spread: number) => () =>
        rng.below(2) === 0 ? spread * rng.normal() : Math.round(4 * spread * rng.normal()) / 4;
      const [scale, bias] = [vector(number(1)), vector(number(20))];
      const [slope, offset] = [vector(number(0.5)), vector(number(5))];
      const hasPRelu = name.endsWith('PRelu');
      const results = await runNode(
        name,
        [
          float32([length + 1, length], everyAccumulator(length)),
          packGemmWeights(new Float32Array(outputs * length).fill(1), [outputs, length]),
          ...[scale, bias, ...(hasPRelu ? [slope, offset] : [])].map((v) => float32([outputs], v)),
        ],
        { channels: int(length) },
      );
      const kinds = new Set<string>();
      for (let o = 0; o < outputs; o++) {
        const signs = Array.from({ length: length + 1 }, (_, m) => results[m * outputs + o]! >= 0);
        const changes = signs.filter((sign, m) => m > 0 && sign !== signs[m - 1]).length;
        const prelu = hasPRelu ? { slope: slope[o]!, offset: offset[o]! } : null;
        const relu = name.endsWith('GemmRelu');
        const found = signThreshold({ relu, scale: scale[o]!, bias: bias[o]!, prelu }, { most: length, step: 2 });
        if ('secondChangeAt' in found) {
          expect(changes).toBeGreaterThan(1);
          kinds.add('refused');
          continue;
        }
        const { threshold, isNegated } = found;
        const actual = signs.map((_, m) => (isNegated ? length - 2 * m : 2 * m - length) >= threshold);
        expect(actual).toEqual(signs);
        kinds.add(changes === 0 ? `always ${signs[0]}` : isNegated ? 'decreasing' : 'increasing');
      }
      const expected = ['always false', 'always true', 'decreasing', 'increasing'];
      expect([...kinds].sort()).toEqual(hasPRelu ? [...expected, 'refused'] : expected);
    },
  );

  it('looks at odd and even accumulators where padding leaves out terms', () => {
    const epilogue = { relu: false, scale: 1, bias: -1, prelu: null };
    expect(signThreshold(epilogue, { most: 4, step: 2 })).toEqual({ threshold: 2, isNegated: false });
    expect(signThreshold(epilogue, { most: 4, step: 1 })).toEqual({ threshold: 1, isNegated: false });
    const falling = { relu: false, scale: -1, bias: 1, prelu: null };
    expect(signThreshold(falling, { most: 4, step: 2 })).toEqual({ threshold: 0, isNegated: true });
    expect(signThreshold(falling, { most: 4, step: 1 })).toEqual({ threshold: -1, isNegated: true });
  });
});
