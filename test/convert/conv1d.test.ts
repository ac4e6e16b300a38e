/** Convolutions of one dimension, as in networks for sound. */

import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { int, ints } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import { Source } from './build.ts';
import { check, sign } from './check-case.ts';

describe('convolutions of one dimension', () => {
  const SOUND = [2, 4, 20];
  const K5 = { kernel_shape: ints([5]), pads: ints([2, 2]) };
  const norm = (s: Source, x: Value, channels: number) => {
    const c = (f: (i: number) => number) =>
      s.c(
        float32(
          [channels],
          Array.from({ length: channels }, (_, i) => f(i)),
        ),
      );
    const parameters = [c((i) => 0.3 + i / 8), c((i) => 0.11 * i - 0.2), c((i) => i / 3 - 1), c((i) => 1 + i / 5)];
    return s.op('BatchNormalization', [x, ...parameters]);
  };

  it('become binary ones, with what stands between them', async () => {
    const packed = await check({
      shape: SOUND,
      kinds: ['binary', 'binary', 'float'],
      build: (s) => {
        const first = s.op('Conv', [sign(s, s.x), s.c(s.signs([6, 4, 5], [0.5])), s.c(s.normals([6]))], K5);
        const pooled = s.op('MaxPool', [s.op('Relu', [norm(s, first, 6)])], {
          kernel_shape: ints([2]),
          strides: ints([2]),
        });
        const shifted = s.op('Add', [pooled, s.c(float32([6, 1], [-0.3, 0.1, -0.7, 0.2, -1.1, 0.4]))]);
        const second = s.op('Conv', [sign(s, shifted), s.c(s.signs([6, 2, 3])), s.c(s.normals([6]))], {
          kernel_shape: ints([3]),
          strides: ints([2]),
          dilations: ints([2]),
          group: int(3),
        });
        const pooledAll = s.op('Flatten', [s.op('GlobalAveragePool', [second])], { axis: int(1) });
        return s.op('Gemm', [pooledAll, s.c(s.normals([6, 3]))]);
      },
    });
    const types = Array.from(packed.graph.nodes(), ({ op }) => op);
    // One change of shape in front; what is behind is computed with the height.
    expect(types.filter((op) => op === 'Unsqueeze')).toHaveLength(1);
    expect(types.filter((op) => op === 'Squeeze').length).toBeLessThan(2);
    expect(types.filter((op) => /^Binary.*Conv/.test(op))).toHaveLength(2);
  });

  it('take activations 0 or 1 with padding', async () => {
    await check({
      shape: SOUND,
      build: (s) =>
        s.op(
          'Conv',
          [s.op('Cast', [s.op('Less', [s.x, s.c(0.1)])], { to: int(1) }), s.c(s.signs([6, 4, 5], [0.5]))],
          K5,
        ),
    });
  });

  it('take factors for each sound, or for each channel of a depthwise layer', async () => {
    await check({
      shape: SOUND,
      kinds: ['binary', 'binary'],
      build: (s) => {
        const mean = s.op('ReduceMean', [s.op('Abs', [s.x])], { axes: ints([1, 2]), keepdims: int(1) });
        const first = s.op(
          'Conv',
          [s.op('Mul', [sign(s, s.x), mean]), s.c(s.signs([6, 4, 5])), s.c(s.normals([6]))],
          K5,
        );
        const scaled = s.op('Mul', [s.c(s.normals([6, 1])), sign(s, first)]);
        return s.op('Conv', [scaled, s.c(s.signs([6, 1, 5]))], { ...K5, group: int(6) });
      },
    });
  });

  it('keep residuals and borders of ±1', async () => {
    await check({
      shape: SOUND,
      kinds: ['binary', 'binary'],
      build: (s) => {
        const layer = (x: Value) => s.op('Conv', [sign(s, x), s.c(s.signs([4, 4, 5], [0.25]))], K5);
        const y = s.op('Add', [norm(s, layer(s.x), 4), s.x]);
        const padded = s.op('Pad', [sign(s, y), s.ints([0, 0, 1, 0, 0, 1]), s.c(1)]);
        const z = s.op('Conv', [padded, s.c(s.signs([4, 4, 3]))], { kernel_shape: ints([3]) });
        return s.op('Add', [z, y]);
      },
    });
  });

  it('stay as they are in float, and the report counts the others', () => {
    const s = new Source(SOUND);
    const y = s.op('Conv', [s.x, s.c(s.normals([4, 4, 5]))], K5);
    const z = s.op('Conv', [sign(s, y), s.c(s.signs([4, 4, 5]))], K5);
    const { report, model } = convertOnnx(s.finish(z));
    expect(report.layers.map(({ kind }) => kind)).toEqual(['float', 'binary']);
    expect(report.changes).toEqual(['1 convolution of one dimension is computed on pictures of height 1, exactly']);
    const [first] = Array.from(model.graph.nodes()).filter(({ op }) => op === 'Conv');
    expect(first!.requiredInput(1).shape).toEqual([4, 4, 5]);
  });
});
