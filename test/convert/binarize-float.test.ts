import { describe, expect, it } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { binarizeFloat } from '../../src/convert/binarize-float.ts';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { maxAbsoluteError } from '../../src/core/numbers/tolerance.ts';
import { int, ints } from '../../src/graph/attribute.ts';
import type { Model } from '../../src/graph/model.ts';
import { verify } from '../../src/graph/verify.ts';
import { Source, withZeros } from './build.ts';
import { createRun } from './run-model.ts';

const CONV = { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) };

/** Conv, ReLU, max-pool, Conv with bias, ReLU, Conv, mean, two dense layers. */
function network(): Model {
  const s = new Source([2, 3, 8, 8]);
  let h = s.op('Relu', [s.op('Conv', [s.x, s.c(s.normals([4, 3, 3, 3]))], CONV, 'stem')]);
  h = s.op('MaxPool', [h], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) });
  h = s.op('Relu', [s.op('Conv', [h, s.c(s.normals([4, 4, 3, 3])), s.c(s.normals([4]))], CONV, 'body1')]);
  h = s.op('Conv', [h, s.c(s.normals([6, 4, 3, 3]))], CONV, 'body2');
  h = s.op('Flatten', [s.op('GlobalAveragePool', [h])], { axis: int(1) });
  h = s.op('Gemm', [h, s.c(s.normals([6, 5]))], {}, 'dense');
  return s.finish(s.op('Gemm', [h, s.c(s.normals([5, 2]))], {}, 'head'));
}

describe('binarizeFloat', () => {
  it('makes the convolutions between the first and the last layer binary, and keeps their weights', () => {
    const { model: source } = convertOnnx(network());
    const { model, layers, kept } = binarizeFloat(source);
    verify(model);
    expect(layers).toEqual(['body1', 'body2']);
    expect(kept.map(({ name }) => name)).toEqual(['stem', 'dense', 'head']);
    const { report } = lowerToPacked(model);
    expect(report.layers.map(({ outcome }) => outcome)).toEqual(['float', 'binary', 'binary', 'float', 'float']);
    // No sign of a rectified value, which would be +1 everywhere.
    for (const node of model.graph.nodes()) {
      if (node.is('Sign', 'bnn')) expect(node.input(0)!.producer?.op).not.toBe('Relu');
    }
  });

  it('computes mean|W| · Conv(Sign(x), Sign(W)) + b, in latent as in packed form', async () => {
    const s = new Source([2, 3, 8, 8]);
    const [w, b] = [s.normals([4, 3, 3, 3]), s.normals([4])];
    const { model } = binarizeFloat(s.finish(s.op('Conv', [s.op('Relu', [s.x]), s.c(w), s.c(b)], CONV, 'c')), {
      only: ['c'],
    });
    const x = withZeros(2 * 3 * 64);
    const alpha = w.data.reduce((sum, v) => sum + Math.abs(v), 0) / w.data.length;
    const expected = new Float32Array(2 * 4 * 64);
    for (let i = 0; i < expected.length; i++) {
      const [n, o, row, column] = [Math.floor(i / 256), Math.floor(i / 64) % 4, Math.floor(i / 8) % 8, i % 8];
      let sum = 0;
      for (let k = 0; k < 27; k++) {
        const [c, y, z] = [Math.floor(k / 9), row + (Math.floor(k / 3) % 3) - 1, column + (k % 3) - 1];
        if (y < 0 || y > 7 || z < 0 || z > 7) continue;
        sum += (x[((n * 3 + c) * 8 + y) * 8 + z]! >= 0 ? 1 : -1) * (w.data[o * 27 + k]! >= 0 ? 1 : -1);
      }
      expected[i] = alpha * sum + b.data[o]!;
    }
    for (const form of [model, lowerToPacked(model).model]) {
      expect(maxAbsoluteError(await (await createRun(form))(x, [2, 3, 8, 8]), expected)).toBeLessThan(1e-5);
    }
  });

  it.each([
    [{ only: ['body*'], except: ['body2'] }, ['body1']],
    [{ minWeights: 200 }, ['body2']],
    [{ dense: true }, ['body1', 'body2', 'dense']],
    [{ only: ['head'] }, ['head']],
  ])('follows the rules %j', (options, layers) => {
    expect(binarizeFloat(network(), options).layers).toEqual(layers);
  });

  it('leaves the activations in float on request', () => {
    const { model } = binarizeFloat(convertOnnx(network()).model, { weightsOnly: true });
    expect(lowerToPacked(model).report.layers.map(({ outcome }) => outcome)).toContain('weight-only');
  });

  it('refuses a pattern that fits nothing, and rules that leave nothing', () => {
    expect(() => binarizeFloat(network(), { only: ['conv*'] })).toThrow(/no layer is called "conv\*"/);
    expect(() => binarizeFloat(network(), { minWeights: 1e6 })).toThrow(/no layer can be made binary/);
  });
});
