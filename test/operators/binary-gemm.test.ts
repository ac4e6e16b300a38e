import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/numbers/rng.ts';
import { relativeError } from '../../src/core/numbers/tolerance.ts';
import { float32, type Tensor } from '../../src/core/tensors/tensor.ts';
import { int } from '../../src/graph/attribute.ts';
import { packGemmWeights } from '../../src/operators/pack-weights.ts';
import { evaluateReference } from '../../src/operators/registry.ts';
import { LAYER_VARIANTS, variantsOf } from '../../src/operators/variants.ts';
import { randomEpilogue } from './epilogues.ts';
import { runNode } from './run-stock.ts';

const SIZES = [
  [1, 1, 1],
  [2, 7, 3],
  [3, 8, 5],
  [1, 9, 4],
  [2, 64, 10],
  [5, 100, 2],
] as const;

const sign = (x: number) => (x >= 0 ? 1 : -1);

describe.each([...variantsOf('Gemm').keys()])('%s', (name) => {
  const variant = LAYER_VARIANTS.get(name)!;

  it.each(SIZES)('%i rows of %i to %i outputs', async (rows, length, outputs) => {
    for (const unit of [true, false]) {
      const rng = new Rng(rows, length, outputs);
      const normals = (count: number) => Float32Array.from({ length: count }, () => rng.normal());
      const x = normals(rows * length);
      x[0] = -0;
      const weights = normals(outputs * length);
      const epilogue = randomEpilogue(variant, rng, { outputs, resultShape: [rows, outputs], unit });
      const expected = new Float32Array(rows * outputs);
      for (let m = 0; m < rows; m++) {
        for (let n = 0; n < outputs; n++) {
          let acc = 0;
          for (let k = 0; k < length; k++) {
            const value = x[m * length + k]!;
            acc += (variant.weightOnly ? value : sign(value)) * sign(weights[n * length + k]!);
          }
          expected[m * outputs + n] = epilogue.finish(acc, n, m * outputs + n);
        }
      }
      const inputs: Tensor[] = [
        float32([rows, length], x),
        packGemmWeights(weights, [outputs, length]),
        ...epilogue.inputs,
      ];
      const attributes = { channels: int(length) };
      const reference = evaluateReference(name, inputs, attributes);
      const stock = await runNode(name, inputs, attributes);
      expect(reference.shape).toEqual([rows, outputs]);
      if (variant.weightOnly) {
        expect(relativeError(reference.data, expected)).toBeLessThan(5e-7);
        expect(relativeError(stock, expected)).toBeLessThan(1e-6);
      } else {
        expect(stock).toEqual(expected);
        if (unit) expect(reference.data).toEqual(expected);
        else expect(relativeError(reference.data, expected)).toBeLessThan(5e-7);
      }
    }
  });

  it('refuses rows of another length', () => {
    const inputs = [
      float32([1, 3], [1, 2, 3]),
      packGemmWeights([1, 1, 1], [1, 3]),
      float32([1], [1]),
      float32([1], [0]),
    ];
    expect(() => evaluateReference(name, inputs, { channels: int(4) })).toThrow(
      'input x has shape [1, 3], expected [?, 4]',
    );
    expect(() => evaluateReference(name, inputs, {})).toThrow('attribute channels is missing');
  });
});
