/** Layers as exporters write them: source, latent and packed form in a stock onnxruntime, and what the verdict says. */

import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { float32, tensor } from '../../src/core/tensors/tensor.ts';
import { int, ints, string } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import { Source, withZeros } from './build.ts';
import { type Case, check, sign } from './check-case.ts';
import { createRun } from './run-model.ts';

const CONV = { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) };
const PLAIN = { kernel_shape: ints([3, 3]) };
const IMAGE = [2, 4, 6, 6];
/** −1 at 0. */
const strictSign = (s: Source, x: Value): Value => s.op('Where', [s.op('Greater', [x, s.c(0)]), s.c(1), s.c(-1)]);

const CASES: Readonly<Record<string, Case>> = {
  'weights ±1': { shape: IMAGE, build: (s) => s.op('Conv', [sign(s, s.x), s.c(s.signs([5, 4, 3, 3]))], CONV) },
  'weights ±s per layer': {
    shape: IMAGE,
    build: (s) => s.op('Conv', [sign(s, s.x), s.c(s.signs([5, 4, 3, 3], [0.37]))], CONV),
  },
  'weights ±s per channel, with bias': {
    shape: IMAGE,
    build: (s) =>
      s.op('Conv', [sign(s, s.x), s.c(s.signs([5, 4, 3, 3], [0.1, 2, 0.7, 1, 3])), s.c(s.normals([5]))], CONV),
  },
  '−1 at 0': { shape: IMAGE, build: (s) => s.op('Conv', [strictSign(s, s.x), s.c(s.signs([5, 4, 3, 3]))], CONV) },
  'activations ±0.3': {
    shape: IMAGE,
    build: (s) =>
      s.op(
        'Conv',
        [s.op('Mul', [sign(s, s.x), s.c(0.3)]), s.c(s.signs([5, 4, 3, 3], [0.5])), s.c(s.normals([5]))],
        CONV,
      ),
  },
  'activations 0 or 1 without padding': {
    shape: IMAGE,
    build: (s) =>
      s.op(
        'Conv',
        [s.op('Cast', [s.op('Greater', [s.x, s.c(0)])], { to: int(1) }), s.c(s.signs([5, 4, 3, 3], [0.5]))],
        PLAIN,
      ),
  },
  'activations 0 or 1 with padding': {
    shape: IMAGE,
    build: (s) =>
      s.op('Conv', [s.op('Cast', [s.op('Greater', [s.x, s.c(0)])], { to: int(1) }), s.c(s.signs([5, 4, 3, 3]))], CONV),
  },
  'activations (sign + 1)/2 with SAME padding, stride, groups, weights ±s and bias': {
    shape: [2, 4, 7, 6],
    build: (s) => {
      const bits = s.op('Div', [s.op('Add', [sign(s, s.x), s.c(1)]), s.c(2)]);
      const inputs = [bits, s.c(s.signs([6, 2, 3, 3], [0.3, 0.7])), s.c(s.normals([6]))];
      const attributes = { kernel_shape: ints([3, 3]), auto_pad: string('SAME_LOWER'), strides: ints([2, 2]) };
      return s.op('Conv', inputs, { ...attributes, group: int(2) });
    },
  },
  'activations −0.5 or 0 with padding on one side, dilated': {
    shape: IMAGE,
    build: (s) => {
      const negative = s.op('Cast', [s.op('Less', [s.x, s.c(0.25)])], { to: int(1) });
      return s.op('Conv', [s.op('Mul', [negative, s.c(-0.5)]), s.c(s.signs([5, 4, 3, 3]))], {
        kernel_shape: ints([3, 3]),
        pads: ints([0, 2, 1, 0]),
        dilations: ints([2, 1]),
      });
    },
  },
  'activations 0 or 1, a Pad with 1, then zeros': {
    shape: IMAGE,
    build: (s) => {
      const bits = s.op('Round', [s.op('Clip', [s.x, s.c(0), s.c(1)])]);
      const padded = s.op('Pad', [bits, s.ints([0, 0, 1, 0, 0, 0, 0, 1]), s.c(1)]);
      return s.op('Conv', [padded, s.c(s.signs([5, 4, 3, 3]))], CONV);
    },
  },
  'activations 0 or 1 for several layers': {
    shape: IMAGE,
    kinds: ['binary', 'binary', 'binary'],
    build: (s) => {
      const bits = s.op('Cast', [s.op('GreaterOrEqual', [s.x, s.c(0)])], { to: int(1) });
      const first = s.op('Conv', [bits, s.c(s.signs([4, 4, 3, 3])), s.c(s.normals([4]))], CONV);
      const next = s.op('Cast', [s.op('Greater', [first, s.c(0.5)])], { to: int(1) });
      const pooled = s.op('MaxPool', [next], {
        kernel_shape: ints([2, 2]),
        strides: ints([2, 2]),
        pads: ints([1, 1, 1, 1]),
      });
      const second = s.op('Conv', [pooled, s.c(s.signs([5, 4, 3, 3]))], CONV);
      return s.op('Add', [
        second,
        s.op('Conv', [pooled, s.c(s.signs([5, 4, 5, 5]))], { kernel_shape: ints([5, 5]), pads: ints([2, 2, 2, 2]) }),
      ]);
    },
  },
  'activations 0 or 1 that are joined and repeated at the border': {
    shape: IMAGE,
    build: (s) => {
      const bits = [0, 0.5].map((t) => s.op('Cast', [s.op('Greater', [s.x, s.c(t)])], { to: int(1) }));
      const padded = s.op('Pad', [s.op('Concat', bits, { axis: int(1) }), s.ints([0, 0, 1, 1, 0, 0, 1, 1])], {
        mode: string('edge'),
      });
      return s.op('Conv', [padded, s.c(s.signs([5, 8, 3, 3]))], PLAIN);
    },
  },
  'a comparison with a clipped value in one place, none in the other': {
    shape: IMAGE,
    build: (s) => {
      const clipped = s.op('Clip', [s.x, s.c(-1), s.c(1)]);
      const step = s.op('Where', [s.op('Less', [clipped, s.c(0)]), s.c(0), s.c(1)]);
      const y = s.op('Where', [s.op('Equal', [clipped, s.c(0)]), s.c(1), step]);
      return s.op('Conv', [y, s.c(s.signs([5, 4, 3, 3]))], CONV);
    },
  },
  '−1 at 0, and its maxima': {
    shape: IMAGE,
    kinds: ['binary', 'binary'],
    build: (s) => {
      const pool = { kernel_shape: ints([2, 2]), strides: ints([2, 2]), pads: ints([1, 0, 1, 0]) };
      const first = s.op('Conv', [s.op('MaxPool', [strictSign(s, s.x)], pool), s.c(s.signs([5, 4, 3, 3]))], CONV);
      const bits = s.op('Cast', [s.op('Greater', [first, s.c(-0.5)])], { to: int(1) });
      return s.op('Conv', [s.op('MaxPool', [bits], pool), s.c(s.signs([5, 5, 3, 3]))], CONV);
    },
  },
  'a factor per input channel of a depthwise layer': {
    shape: IMAGE,
    build: (s) => {
      const scaled = s.op('Mul', [s.c(s.normals([1, 4, 1, 1])), sign(s, s.x)]);
      const inputs = [scaled, s.c(s.signs([8, 1, 3, 3], [0.5, 2])), s.c(s.normals([8]))];
      return s.op('Conv', inputs, { ...CONV, group: int(4) });
    },
  },
  'a divisor per group, activations 0 or 1': {
    shape: IMAGE,
    build: (s) => {
      const bits = s.op('Cast', [s.op('Greater', [s.x, s.c(0)])], { to: int(1) });
      const scaled = s.op('Div', [bits, s.c(float32([4, 1, 1], [3, 3, -7, -7]))]);
      return s.op('Conv', [scaled, s.c(s.signs([6, 2, 3, 3]))], { ...CONV, group: int(2) });
    },
  },
  'a factor for each picture, mean|x|': {
    shape: IMAGE,
    build: (s) => {
      const mean = s.op('ReduceMean', [s.op('Abs', [s.x])], { axes: ints([1, 2, 3]), keepdims: int(1) });
      return s.op(
        'Conv',
        [s.op('Mul', [sign(s, s.x), mean]), s.c(s.signs([5, 4, 3, 3], [0.5])), s.c(s.normals([5]))],
        CONV,
      );
    },
  },
  'a factor for each pixel: only the weights are signs': {
    shape: IMAGE,
    kinds: ['weight-only'],
    build: (s) => {
      const mean = s.op('ReduceMean', [s.op('Abs', [s.x])], { axes: ints([1]), keepdims: int(1) });
      return s.op('Conv', [s.op('Mul', [sign(s, s.x), mean]), s.c(s.signs([5, 4, 3, 3]))], CONV);
    },
  },
  'activations 1 or 2 with padding: only the weights are signs': {
    shape: IMAGE,
    kinds: ['weight-only'],
    build: (s) =>
      s.op(
        'Conv',
        [
          s.op('Add', [s.op('Cast', [s.op('Greater', [s.x, s.c(0)])], { to: int(1) }), s.c(1)]),
          s.c(s.signs([5, 4, 3, 3])),
        ],
        CONV,
      ),
  },
  'float weights keep activations 0 or 1 with padding': {
    shape: IMAGE,
    kinds: ['float'],
    build: (s) =>
      s.op(
        'Conv',
        [s.op('Cast', [s.op('Greater', [s.x, s.c(0)])], { to: int(1) }), s.c(s.normals([5, 4, 3, 3]))],
        CONV,
      ),
  },
  'weights binarized in the graph, times mean|W|': {
    shape: IMAGE,
    build: (s) => {
      const w = s.c(s.normals([5, 4, 3, 3]));
      const alpha = s.op('ReduceMean', [s.op('Abs', [w])], { axes: ints([1, 2, 3]), keepdims: int(1) });
      return s.op('Conv', [sign(s, s.x), s.op('Mul', [s.op('Sign', [w]), alpha])], CONV);
    },
  },
  'weights binarized with a straight-through detour': {
    shape: IMAGE,
    build: (s) => {
      const w = s.c(s.normals([5, 4, 3, 3]));
      const mean = (x: Value, axis: number) => s.op('ReduceMean', [x], { axes: ints([axis]), keepdims: int(1) });
      const alpha = mean(mean(mean(s.op('Abs', [w]), 3), 2), 1);
      const binary = s.op('Mul', [alpha, s.op('Sign', [w])]);
      const clipped = s.op('Clip', [w, s.c(-1), s.c(1)]);
      return s.op('Conv', [sign(s, s.x), s.op('Add', [s.op('Sub', [binary, clipped]), clipped])], CONV);
    },
  },
  'weights of 8 bits with a scale per channel': {
    shape: IMAGE,
    build: (s) => {
      const w = s.signs([5, 4, 3, 3]);
      const bytes = s.c(tensor('int8', w.shape, Int8Array.from(w.data)));
      const scale = s.c(float32([5], [0.5, 0.1, 1, 2, 3]));
      const floats = s.op('DequantizeLinear', [bytes, scale], { axis: int(0) });
      return s.op('Conv', [sign(s, s.x), floats], CONV);
    },
  },
  'sign + (1 − |sign|), with a detour': {
    shape: IMAGE,
    build: (s) => {
      const plain = s.op('Sign', [s.x]);
      const binary = s.op('Add', [plain, s.op('Sub', [s.c(1), s.op('Abs', [plain])])]);
      const act = s.op('Add', [s.x, s.op('Add', [s.op('Neg', [s.x]), binary])]);
      return s.op('Conv', [act, s.c(s.signs([5, 4, 3, 3]))], CONV);
    },
  },
  'weights by a comparison': {
    shape: IMAGE,
    build: (s) => s.op('Conv', [sign(s, s.x), strictSign(s, s.c(s.normals([5, 4, 3, 3])))], CONV),
  },
  'float data, weights binarized in the graph': {
    shape: IMAGE,
    kinds: ['weight-only'],
    build: (s) => s.op('Conv', [s.x, s.op('Sign', [s.c(s.normals([5, 4, 3, 3]))])], CONV),
  },
  'float data, plain numbers ±s': {
    shape: IMAGE,
    kinds: ['weight-only'],
    build: (s) => s.op('Conv', [s.x, s.c(s.signs([5, 4, 3, 3], [0.2, 0.4]))], CONV),
  },
  'an averaging kernel is no binary weight': {
    shape: IMAGE,
    kinds: ['float'],
    build: (s) => s.op('Conv', [s.x, s.c(float32([1, 4, 3, 3], new Float32Array(36).fill(1 / 36)))], CONV),
  },
  'ternary weights': {
    shape: IMAGE,
    kinds: ['ternary'],
    build: (s) => {
      const w = s.signs([5, 4, 3, 3]);
      w.data[7] = 0;
      return s.op('Conv', [sign(s, s.x), s.c(w)], CONV);
    },
  },
  'ternary activations': {
    shape: IMAGE,
    kinds: ['ternary'],
    build: (s) => s.op('Conv', [s.op('Sign', [s.x]), s.c(s.signs([5, 4, 3, 3]))], CONV),
  },
  'weights of 4 bits': {
    shape: IMAGE,
    kinds: ['multi-bit'],
    build: (s) => {
      const w = s.normals([5, 4, 3, 3]);
      return s.op(
        'Conv',
        [
          sign(s, s.x),
          s.c(
            float32(
              w.shape,
              w.data.map((v) => 0.3 * Math.max(-8, Math.min(7, Math.round(3 * v)))),
            ),
          ),
        ],
        CONV,
      );
    },
  },
  'float weights': {
    shape: IMAGE,
    kinds: ['float'],
    build: (s) => s.op('Conv', [sign(s, s.x), s.c(s.normals([5, 4, 3, 3]))], CONV),
  },
  'padding with 0 by a Pad': {
    shape: IMAGE,
    build: (s) =>
      s.op('Conv', [s.op('Pad', [sign(s, s.x), s.ints([0, 0, 1, 2, 0, 0, 0, 1])]), s.c(s.signs([5, 4, 3, 3]))], PLAIN),
  },
  'padding with +1': {
    shape: IMAGE,
    build: (s) =>
      s.op(
        'Conv',
        [s.op('Pad', [sign(s, s.x), s.ints([0, 0, 1, 1, 0, 0, 1, 1]), s.c(1)]), s.c(s.signs([5, 4, 3, 3]))],
        PLAIN,
      ),
  },
  'padding with −1': {
    shape: IMAGE,
    build: (s) =>
      s.op(
        'Conv',
        [s.op('Pad', [strictSign(s, s.x), s.ints([0, 0, 1, 1, 0, 0, 1, 1]), s.c(-1)]), s.c(s.signs([5, 4, 3, 3]))],
        PLAIN,
      ),
  },
  'padding with +1, then with 0': {
    shape: IMAGE,
    build: (s) =>
      s.op(
        'Conv',
        [s.op('Pad', [sign(s, s.x), s.ints([0, 0, 1, 1, 0, 0, 1, 1]), s.c(1)]), s.c(s.signs([5, 4, 3, 3]))],
        CONV,
      ),
  },
  'padding with 0 in front of the sign': {
    shape: IMAGE,
    build: (s) =>
      s.op('Conv', [sign(s, s.op('Pad', [s.x, s.ints([0, 0, 1, 1, 0, 0, 1, 1])])), s.c(s.signs([5, 4, 3, 3]))], PLAIN),
  },
  'padding with 0.5 is not sign-valued': {
    shape: IMAGE,
    kinds: ['weight-only'],
    build: (s) =>
      s.op(
        'Conv',
        [s.op('Pad', [sign(s, s.x), s.ints([0, 0, 1, 1, 0, 0, 1, 1]), s.c(0.5)]), s.c(s.signs([5, 4, 3, 3]))],
        PLAIN,
      ),
  },
  'signs that are used twice': {
    shape: IMAGE,
    kinds: ['binary', 'binary'],
    build: (s) => {
      const h = s.op('MaxPool', [sign(s, s.x)], { kernel_shape: ints([2, 2]) });
      return s.op('Add', [
        s.op('Conv', [h, s.c(s.signs([5, 4, 3, 3]))], CONV),
        s.op('Conv', [h, s.c(s.signs([5, 4, 1, 1]))], { kernel_shape: ints([1, 1]) }),
      ]);
    },
  },
  'signs that are joined': {
    shape: IMAGE,
    build: (s) =>
      s.op(
        'Conv',
        [s.op('Concat', [sign(s, s.x), strictSign(s, s.x)], { axis: int(1) }), s.c(s.signs([5, 8, 3, 3]))],
        CONV,
      ),
  },
  'SAME_UPPER, stride 2, groups': {
    shape: IMAGE,
    build: (s) =>
      s.op('Conv', [sign(s, s.x), s.c(s.signs([6, 2, 3, 3], [0.5, 2]))], {
        kernel_shape: ints([3, 3]),
        auto_pad: string('SAME_UPPER'),
        strides: ints([2, 2]),
        group: int(2),
      }),
  },
  'a plain Sign behind a binary layer that never gives 0': {
    shape: IMAGE,
    kinds: ['binary', 'binary'],
    build: (s) => {
      // 27 terms without padding: odd sums; the offset is no odd integer.
      const first = s.op(
        'Conv',
        [
          s.op('Concat', [sign(s, s.x)], { axis: int(1) }),
          s.c(s.signs([3, 4, 3, 3])),
          s.c(float32([3], [0.5, -1.25, 3.5])),
        ],
        PLAIN,
      );
      return s.op('Conv', [s.op('Sign', [first]), s.c(s.signs([5, 3, 3, 3]))], CONV);
    },
  },
  'a plain Sign behind a binary layer that may give 0': {
    shape: IMAGE,
    kinds: ['binary', 'ternary'],
    build: (s) =>
      s.op(
        'Conv',
        [s.op('Sign', [s.op('Conv', [sign(s, s.x), s.c(s.signs([3, 4, 3, 3]))], PLAIN)]), s.c(s.signs([5, 3, 3, 3]))],
        CONV,
      ),
  },
  'multi-bit activations': {
    shape: IMAGE,
    kinds: ['multi-bit'],
    build: (s) =>
      s.op('Conv', [s.op('Round', [s.op('Clip', [s.x, s.c(0), s.c(3)])]), s.c(s.signs([5, 4, 3, 3]))], CONV),
  },
};

describe('convolutions', () => {
  it('with SAME padding of pictures of any size', async () => {
    const s = new Source([1, 4, 'h', 'w']);
    const source = s.finish(
      s.op('Conv', [sign(s, s.x), s.c(s.signs([5, 4, 4, 3]))], {
        auto_pad: string('SAME_UPPER'),
      }),
    );
    const { lowered, report } = convertOnnx(source);
    expect(report.layers.map(({ kind }) => kind)).toEqual(['binary']);
    for (const shape of [
      [1, 4, 5, 6],
      [1, 4, 8, 7],
    ]) {
      const x = withZeros(shape.reduce((product, size) => product * size, 1));
      expect(await (await createRun(lowered.model))(x, shape)).toEqual(await (await createRun(source))(x, shape));
    }
  });

  it.each(Object.keys(CASES))('%s', async (name) => {
    await check(CASES[name]!);
  });
});

const TO_NHWC = { perm: ints([0, 2, 3, 1]) };
const TO_NCHW = { perm: ints([0, 3, 1, 2]) };

describe('latent weights', () => {
  it('are those of the source, and its scaling factor stays an expression of them', () => {
    const s = new Source(IMAGE);
    const w = s.builder.constant('w', s.normals([5, 4, 3, 3]));
    const alpha = s.op('ReduceMean', [s.op('Abs', [w])], { keepdims: int(0) });
    const y = s.op('Conv', [sign(s, s.x), s.op('Mul', [alpha, s.op('Sign', [w])])], CONV);
    const { graph } = convertOnnx(s.finish(y)).model;
    const conv = [...graph.nodes()].find((node) => node.is('Conv'))!;
    const latent = conv.input(1)!.producer!.input(0)!;
    expect(latent.name).toBe('w');
    expect(latent.uses.map(({ node }) => node.type).sort()).toEqual(['Abs', 'bnn.Sign']);
    expect(conv.output.uses.map(({ node }) => node.type)).toEqual(['Mul']);
  });

  it('of weights that only their signs are known of are ±1', () => {
    const s = new Source(IMAGE);
    const y = s.op('Conv', [sign(s, s.x), s.c(s.signs([5, 4, 3, 3], [0.3]))], CONV);
    const { graph } = convertOnnx(s.finish(y)).model;
    const conv = [...graph.nodes()].find((node) => node.is('Conv'))!;
    const latent = conv.input(1)!.producer!.input(0)!.constant!;
    expect([...new Set(Array.from(latent.data, Number))].sort()).toEqual([-1, 1]);
  });
});

describe('channels last', () => {
  it('cancels the transposes around every layer', async () => {
    const model = await check({
      shape: [2, 6, 6, 4],
      kinds: ['binary', 'binary', 'binary'],
      build: (s) => {
        const layer = (x: Value, from: number, to: number) => {
          const y = s.op('Conv', [s.op('Transpose', [x], TO_NCHW), s.c(s.signs([to, from, 3, 3]))], CONV);
          return s.op('Transpose', [y], TO_NHWC);
        };
        const norm = (x: Value, c: number) =>
          s.op('Add', [s.op('Mul', [x, s.c(s.normals([c]))]), s.c(s.normals([1, 1, 1, c]))]);
        const first = norm(layer(sign(s, s.x), 4, 8), 8);
        const second = s.op('Add', [layer(sign(s, first), 8, 8), first]);
        const padded = s.op('Pad', [sign(s, second), s.ints([0, 1, 1, 0, 0, 1, 1, 0]), s.c(1)]);
        const mean = s.op('ReduceMean', [layer(padded, 8, 3)], { axes: ints([1, 2]), keepdims: int(0) });
        return s.op('Softmax', [mean]);
      },
    });
    const transposes = [...model.graph.nodes()].filter(
      (node) => node.is('Transpose') && node.input(0)!.constant === null,
    );
    expect(transposes).toHaveLength(1);
  });

  it.each([
    ['±1', 1, 0],
    ['±0.25', 0.25, 0],
    ['0 and 1', 0.5, 0.5],
  ])('pads %s with zeros in front of the transposition', async (_, factor, offset) => {
    await check({
      shape: [2, 6, 6, 4],
      build: (s) => {
        const data = s.op('Add', [s.op('Mul', [sign(s, s.x), s.c(factor)]), s.c(offset)]);
        const padded = s.op('Pad', [data, s.ints([0, 1, 0, 0, 0, 2, 1, 0])]);
        return s.op('Conv', [s.op('Transpose', [padded], TO_NCHW), s.c(s.signs([5, 4, 3, 3]))], PLAIN);
      },
    });
  });

  it('keeps a transposition in front of a flattening', async () => {
    await check({
      shape: [2, 6, 6, 4],
      kinds: ['binary', 'binary'],
      build: (s) => {
        const y = s.op(
          'Conv',
          [s.op('Transpose', [sign(s, s.x)], TO_NCHW), s.c(s.signs([5, 4, 3, 3])), s.c(s.normals([5]))],
          PLAIN,
        );
        const flat = s.op('Reshape', [s.op('Transpose', [y], TO_NHWC), s.ints([-1, 80])]);
        return s.op('MatMul', [sign(s, flat), s.c(s.signs([80, 3]))]);
      },
    });
  });
});

describe('shapes that the model computes', () => {
  it('become constants, also with an open batch size', async () => {
    const s = new Source(['N', 4, 2, 2]);
    const batch = s.op('Unsqueeze', [
      s.op('Gather', [s.op('Shape', [s.x]), s.c(tensor('int64', [], BigInt64Array.of(0n)))]),
      s.ints([0]),
    ]);
    const flat = s.op('Reshape', [s.x, s.op('Concat', [batch, s.ints([-1])], { axis: int(0) })]);
    const source = s.finish(s.op('MatMul', [sign(s, flat), s.c(s.signs([16, 3]))]));
    const { model, lowered, report } = convertOnnx(source);
    expect(report.layers.map(({ kind }) => kind)).toEqual(['binary']);
    expect(Array.from(model.graph.nodes(), ({ type }) => type)).not.toContain('Shape');
    for (const n of [1, 3]) {
      const x = withZeros(16 * n);
      const expected = await (await createRun(source))(x, [n, 4, 2, 2]);
      expect(await (await createRun(lowered.model))(x, [n, 4, 2, 2])).toEqual(expected);
    }
  });
});
