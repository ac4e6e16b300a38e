import { describe, expect, it } from 'vitest';
import { formatReason } from '../../src/compiler/report.ts';
import { float32, int64s, tensor } from '../../src/core/tensors/tensor.ts';
import { float, int, ints, string } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import { expectSame, operators, SmallNet } from './small-net.ts';

type Build = (net: SmallNet, x: Value) => Value;
/** Title, network on input [N, 8, 6, 6], operators after lowering. */
type Row = readonly [string, Build, readonly string[]];

const meanAbs = (net: SmallNet, w: Value): Value => net.op('ReduceMean', [net.op('Abs', [w])], { keepdims: int(0) });

/** Conv · mean|W| as the model zoo writes it. */
function scaledConv(net: SmallNet, x: Value): Value {
  const w = net.random([8, 8, 3, 3]);
  return net.op('Mul', [net.conv(net.sign(x), net.sign(w)), meanAbs(net, w)]);
}

/** ±1 numbers, not an expression of Sign. */
function plusMinusOne(net: SmallNet, shape: readonly number[]): Value {
  const weights = net.normals(shape);
  return net.c(
    float32(
      shape,
      weights.data.map((w) => (w >= 0 ? 1 : -1)),
    ),
  );
}

/** Int8 numbers in steps of 0.5. */
function dequantized(net: SmallNet, shape: readonly number[]): Value {
  const bytes = Int8Array.from(net.normals(shape).data, (w) => Math.round(10 * w));
  return net.op('DequantizeLinear', [net.c(tensor('int8', shape, bytes)), net.c(0.5)]);
}

/** Weights ±s that some operator computes from constants. */
function binaryThrough(net: SmallNet, type: string): Value {
  const shape = [5, 8, 3, 3];
  const w = net.random(shape);
  switch (type) {
    case 'Clip':
      return net.op('Clip', [net.op('Mul', [w, net.c(1e6)]), net.c(-1), net.c(1)]);
    case 'DequantizeLinear': {
      const bytes = Int8Array.from(net.normals(shape).data, (x) => (x < 0 ? -1 : 1));
      return net.op('DequantizeLinear', [net.c(tensor('int8', shape, bytes)), net.c(0.25)]);
    }
    case 'ReduceL1':
      return net.op('Mul', [net.sign(w), net.op('ReduceL1', [w], { axes: ints([1, 2, 3]) })]);
    case 'Slice': {
      const [from, to] = [int64s([0]), int64s([5])].map((bound) => net.c(bound));
      return net.op('Slice', [net.sign(net.random([7, 8, 3, 3])), from ?? null, to ?? null]);
    }
    case 'Where':
      return net.op('Where', [net.op('Less', [w, net.c(0)]), net.c(-2), net.c(2)]);
    default:
      return net.op('Sign', [w]);
  }
}

const BECOMES: readonly Row[] = [
  ['Conv(Sign, Sign)', (net, x) => net.binaryConv(x, 8, 5), ['bnn.BinaryConv']],
  ['Conv(float, Sign)', (net, x) => net.conv(x, net.sign(net.random([5, 8, 3, 3]))), ['bnn.BinaryWeightConv']],
  ['Conv(Sign, ±1 constant)', (net, x) => net.conv(net.sign(x), plusMinusOne(net, [5, 8, 3, 3])), ['bnn.BinaryConv']],
  [
    'Conv(Sign, α · Sign), α per output channel',
    (net, x) => {
      const w = net.random([5, 8, 3, 3]);
      const alpha = net.op('ReduceMean', [net.op('Abs', [w])], { axes: ints([1, 2, 3]) });
      return net.conv(net.sign(x), net.op('Mul', [net.sign(w), alpha]));
    },
    ['bnn.BinaryConv'],
  ],
  [
    'Conv with a bias',
    (net, x) => net.conv(net.sign(x), net.sign(net.random([5, 8, 3, 3])), {}, net.random([5])),
    ['bnn.BinaryConv'],
  ],
  [
    'Conv with strides, dilations, groups',
    (net, x) =>
      net.conv(net.sign(x), net.sign(net.random([4, 2, 3, 3])), {
        strides: ints([2, 1]),
        dilations: ints([1, 2]),
        pads: ints([0, 2, 1, 1]),
        group: int(4),
      }),
    ['bnn.BinaryConv'],
  ],
  ...['Clip', 'DequantizeLinear', 'ReduceL1', 'Sign', 'Slice', 'Where'].map(
    (through): Row => [
      `Conv(Sign, W), W a constant expression through ${through}`,
      (net, x) => net.conv(net.sign(x), binaryThrough(net, through)),
      ['bnn.BinaryConv'],
    ],
  ),
  [
    'a bias and a factor through operators that are not folded',
    (net, x) => {
      const y = net.conv(net.sign(x), net.sign(net.random([5, 8, 3, 3])), {}, dequantized(net, [5]));
      return net.op('Mul', [y, dequantized(net, [5, 1, 1])]);
    },
    ['bnn.BinaryConv'],
  ],
  ['Conv · mean|W|', scaledConv, ['bnn.BinaryConv']],
  ['Relu(Conv · mean|W|)', (net, x) => net.op('Relu', [scaledConv(net, x)]), ['bnn.BinaryConvRelu']],
  [
    'BatchNormalization(Relu(Conv · mean|W|))',
    (net, x) => net.batchNorm(net.op('Relu', [scaledConv(net, x)]), 8),
    ['bnn.BinaryConvRelu'],
  ],
  [
    'BatchNormalization(Relu(Conv · mean|W|)) + x',
    (net, x) => net.op('Add', [net.batchNorm(net.op('Relu', [scaledConv(net, x)]), 8), x]),
    ['bnn.BinaryConvReluAdd'],
  ],
  [
    'x + BatchNormalization(Conv)',
    (net, x) => net.op('Add', [x, net.batchNorm(net.binaryConv(x, 8, 8), 8)]),
    ['bnn.BinaryConvAdd'],
  ],
  [
    'weight-only block with residual',
    (net, x) => {
      const w = net.random([8, 8, 3, 3]);
      const scaled = net.op('Mul', [meanAbs(net, w), net.conv(x, net.sign(w))]);
      return net.op('Add', [net.batchNorm(net.op('Relu', [scaled]), 8), x]);
    },
    ['bnn.BinaryWeightConvReluAdd'],
  ],
  [
    'sum of two binary layers: the first takes in the second',
    (net, x) => net.op('Add', [net.binaryConv(x, 8, 8), net.binaryConv(x, 8, 8)]),
    ['bnn.BinaryConv', 'bnn.BinaryConvAdd'],
  ],
  [
    'constants on both sides, per channel and scalar',
    (net, x) => {
      let y = net.binaryConv(x, 8, 4);
      y = net.op('Mul', [net.random([4, 1, 1]), y]);
      y = net.op('Add', [y, net.random([1, 4, 1, 1])]);
      y = net.op('Sub', [net.c(0.25), y]);
      y = net.op('Div', [y, net.random([4, 1, 1])]);
      y = net.op('Sub', [y, net.c(-3)]);
      return net.op('Neg', [y]);
    },
    ['bnn.BinaryConv'],
  ],
  [
    'a shared Sign',
    (net, x) => {
      const signs = net.sign(x);
      const a = net.conv(signs, net.sign(net.random([8, 8, 3, 3])));
      return net.op('Add', [a, signs]);
    },
    ['bnn.Sign', 'bnn.BinaryConvAdd'],
  ],
  [
    'two layers on one Sign',
    (net, x) => {
      const signs = net.sign(x);
      const branch = () => net.conv(signs, net.sign(net.random([8, 8, 3, 3])));
      return net.op('Concat', [branch(), branch()], { axis: int(1) });
    },
    ['bnn.BinaryConv', 'bnn.BinaryConv', 'Concat'],
  ],
  [
    'Dropout and Identity in between',
    (net, x) => net.op('Relu', [net.op('Identity', [net.op('Dropout', [net.binaryConv(x, 8, 4)])])]),
    ['bnn.BinaryConvRelu'],
  ],
  [
    'auto_pad SAME_UPPER and SAME_LOWER',
    (net, x) => {
      const padded = (input: Value, mode: string) =>
        net.op('Conv', [net.sign(input), net.sign(net.random([8, 8, 2, 2]))], {
          auto_pad: string(mode),
          strides: ints([2, 1]),
        });
      return padded(padded(x, 'SAME_UPPER'), 'SAME_LOWER');
    },
    ['bnn.BinaryConvSign', 'bnn.BinaryConv'],
  ],
  [
    'auto_pad VALID',
    (net, x) => net.op('Conv', [net.sign(x), net.sign(net.random([8, 8, 3, 3]))], { auto_pad: string('VALID') }),
    ['bnn.BinaryConv'],
  ],
  [
    'MaxPool and Flatten after Sign',
    (net, x) => {
      const pooled = net.op('MaxPool', [net.sign(x)], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) });
      const flat = net.op('Flatten', [pooled]);
      return net.op('Gemm', [flat, net.sign(net.random([5, 72]))], { transB: int(1) });
    },
    ['MaxPool', 'Flatten', 'bnn.BinaryGemm'],
  ],
  [
    'dense layers: MatMul + bias, Gemm with alpha, beta, C, transB',
    (net, x) => {
      const flat = net.op('Flatten', [x]);
      let y = net.op('MatMul', [net.sign(flat), net.sign(net.random([288, 20]))]);
      y = net.op('Add', [y, net.random([20])]);
      y = net.batchNorm(y, 20);
      y = net.op('Gemm', [net.sign(y), net.sign(net.random([9, 20])), net.random([1, 9])], {
        transB: int(1),
        alpha: float(0.5),
        beta: float(-2),
      });
      return net.op('Gemm', [y, net.sign(net.random([9, 4])), net.random([])]);
    },
    ['Flatten', 'bnn.BinaryGemmSign', 'bnn.BinaryGemm', 'bnn.BinaryWeightGemm'],
  ],
  [
    'dense residual block',
    (net, x) => {
      const flat = net.op('Flatten', [x]);
      const w = net.random([288, 288]);
      const scaled = net.op('Mul', [net.op('MatMul', [net.sign(flat), net.sign(w)]), meanAbs(net, w)]);
      return net.op('Add', [net.batchNorm(net.op('Relu', [scaled]), 288), flat]);
    },
    ['Flatten', 'bnn.BinaryGemmReluAdd'],
  ],
  [
    'Sign of transposed and reshaped weights',
    (net, x) => {
      const w = net.op('Transpose', [net.sign(net.random([3, 3, 8, 5]))], { perm: ints([3, 2, 0, 1]) });
      const y = net.op('Flatten', [net.conv(net.sign(x), w)]);
      const dense = net.op('Reshape', [net.random([2, 90, 7]), net.c(int64s([-1, 7]))]);
      return net.op('MatMul', [net.sign(y), net.sign(dense)]);
    },
    ['bnn.BinaryConvSign', 'Flatten', 'bnn.BinaryGemm'],
  ],
  [
    'PReLU with a slope per channel, a slope for all, LeakyRelu; shifts behind them',
    (net, x) => {
      let y = net.op('PRelu', [net.batchNorm(net.binaryConv(x, 8, 8), 8), net.random([8, 1, 1])]);
      y = net.op('Add', [net.random([8, 1, 1]), net.op('Sub', [y, net.random([1, 8, 1, 1])])]);
      const other = net.op('PRelu', [net.op('Add', [net.binaryConv(x, 8, 8), y]), net.random([1])]);
      return net.op('Add', [net.op('LeakyRelu', [net.binaryConv(x, 8, 8)], { alpha: float(-0.3) }), other]);
    },
    ['bnn.BinaryConvPRelu', 'bnn.BinaryConvAddPRelu', 'bnn.BinaryConvPRelu', 'Add'],
  ],
  [
    'a shift behind a residual',
    (net, x) => net.op('Sub', [net.op('Add', [net.binaryConv(x, 8, 8), x]), net.random([8, 1, 1])]),
    ['bnn.BinaryConvAdd'],
  ],
  [
    'dense PReLU',
    (net, x) => {
      const w = net.sign(net.random([288, 12]));
      return net.op('PRelu', [net.op('MatMul', [net.sign(net.op('Flatten', [x])), w]), net.random([12])]);
    },
    ['Flatten', 'bnn.BinaryGemmPRelu'],
  ],
  [
    'shifts before Sign, per channel and for all',
    (net, x) => {
      const y = net.binaryConv(net.op('Add', [net.random([8, 1, 1]), x]), 8, 8);
      return net.op('Add', [y, net.binaryConv(net.op('Sub', [x, net.c(0.25)]), 8, 8)]);
    },
    ['bnn.BinaryThresholdConv', 'bnn.BinaryThresholdConvAdd'],
  ],
  [
    'a scaled, normalized, rectified layer between two binarizations, with pooling and a shared Sign',
    (net, x) => {
      const y = net.batchNorm(net.op('Relu', [scaledConv(net, x)]), 8);
      const signs = net.op('MaxPool', [net.sign(y)], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) });
      const branch = () => net.conv(signs, net.sign(net.random([4, 8, 3, 3])));
      const float = net.conv(signs, net.random([4, 8, 3, 3]));
      return net.op('Concat', [branch(), branch(), float], { axis: int(1) });
    },
    ['bnn.BinaryConvSign', 'MaxPool', 'Conv', 'bnn.BinaryConv', 'bnn.BinaryConv', 'Concat'],
  ],
  [
    'a PReLU of positive slope between two binarizations',
    (net, x) => {
      const y = net.op('LeakyRelu', [net.batchNorm(net.binaryConv(x, 8, 8), 8)]);
      return net.binaryConv(net.op('Add', [y, net.random([8, 1, 1], 5)]), 8, 4);
    },
    ['bnn.BinaryConvSign', 'bnn.BinaryConv'],
  ],
  [
    'BatchNormalization before MaxPool',
    (net, x) => {
      const normalized = net.op('BatchNormalization', [
        net.op('Relu', [net.conv(x, net.random([3, 8, 3, 3]))]),
        net.c(float32([3], [0.5, 0, 2])),
        net.random([3]),
        net.random([3]),
        net.c(float32([3], [1, 2, 3])),
      ]);
      return net.op('MaxPool', [normalized], { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) });
    },
    ['Conv', 'Relu', 'MaxPool', 'BatchNormalization'],
  ],
  [
    'float layers: BatchNormalization before and after, MatMul + bias',
    (net, x) => {
      const stem = net.batchNorm(net.conv(x, net.random([8, 8, 3, 3]), {}, net.random([8])), 8);
      const flat = net.batchNorm(net.op('Flatten', [net.op('Relu', [stem])]), 288);
      const y = net.op('Add', [net.op('MatMul', [flat, net.random([288, 6])]), net.random([6])]);
      const z = net.batchNorm(y, 6);
      return net.op('Gemm', [net.batchNorm(z, 6), net.random([5, 6]), net.random([5])], {
        transB: int(1),
        beta: float(3),
      });
    },
    ['Conv', 'Relu', 'Flatten', 'Gemm', 'Gemm'],
  ],
  [
    'scaling factors that a chain of shape operators makes',
    (net, x) => {
      const w = net.random([8, 8, 3, 3]);
      const rows = net.op('ReduceMean', [net.op('Abs', [w])], { axes: ints([1, 2, 3]), keepdims: int(0) });
      const size = net.op('Gather', [net.op('Shape', [w]), net.c(tensor('int64', [], BigInt64Array.of(0n)))]);
      const one = net.c(int64s([1]));
      const shape = net.op('Concat', [net.op('Unsqueeze', [size, net.c(int64s([0]))]), one, one], {
        axis: int(0),
      });
      const scale = net.op('Sqrt', [net.op('Reshape', [rows, shape])]);
      return net.op('Mul', [net.conv(net.sign(x), net.sign(w)), scale]);
    },
    ['bnn.BinaryConv'],
  ],
];

describe('lowering turns', () => {
  it.each(BECOMES)('%s', async (_, build, expected) => {
    const net = new SmallNet();
    const { model } = await expectSame(net.finish(build(net, net.input(['N', 8, 6, 6]))));
    expect(operators(model)).toEqual(expected);
  });
});

/** Title, network, operators after lowering, what the report says of the layer or the node. */
const STAYS: readonly (readonly [...Row, RegExp])[] = [
  [
    'a float convolution',
    (net, x) => net.conv(x, net.random([5, 8, 3, 3])),
    ['Conv'],
    /neither its data nor its weight c goes through bnn\.Sign/,
  ],
  [
    'an averaging kernel on float data',
    (net, x) => net.conv(x, net.c(float32([1, 8, 3, 3], new Float32Array(72).fill(1 / 9)))),
    ['Conv'],
    /goes through bnn\.Sign/,
  ],
  [
    'float weights on binary data',
    (net, x) => net.conv(net.sign(x), net.random([5, 8, 3, 3])),
    ['bnn.Sign', 'Conv'],
    /not binary: output channel 0 has several magnitudes/,
  ],
  [
    'float weights in 8 bits, which stay in 8 bits',
    (net, x) => net.conv(net.sign(x), dequantized(net, [5, 8, 3, 3])),
    ['bnn.Sign', 'DequantizeLinear', 'Conv'],
    /not binary: output channel 0 has several magnitudes/,
  ],
  [
    'weights that are all 0',
    (net, x) => net.conv(net.sign(x), net.c(float32([1, 8, 3, 3], new Float32Array(72)))),
    ['bnn.Sign', 'Conv'],
    /it is all 0/,
  ],
  [
    'a computed weight',
    (net, x) => {
      const w = net.op('Reshape', [net.input([1, 8, 3, 3], 'w'), net.c(int64s([1, 8, 3, 3]))]);
      return net.conv(net.sign(x), net.sign(w));
    },
    ['Reshape', 'bnn.Sign', 'bnn.Sign', 'Conv'],
    /its weight .* is not constant/,
  ],
  [
    'Relu behind a negative scale',
    (net, x) => net.op('Relu', [net.op('Mul', [net.binaryConv(x, 8, 4), net.c(-0.5)])]),
    ['bnn.BinaryConv', 'Relu'],
    /scale of output channel 0 is -0\.5/,
  ],
  [
    'Relu behind a bias',
    (net, x) => net.op('Relu', [net.op('Add', [net.binaryConv(x, 8, 4), net.c(2)])]),
    ['bnn.BinaryConv', 'Relu'],
    /bias of output channel 0 is 2, before the ReLU it must be 0/,
  ],
  [
    'a second Relu',
    (net, x) => net.op('Relu', [net.op('Relu', [net.binaryConv(x, 8, 4)])]),
    ['bnn.BinaryConvRelu', 'Relu'],
    /already has a ReLU/,
  ],
  [
    'BatchNormalization of a result that is used twice',
    (net, x) => {
      const y = net.binaryConv(x, 8, 8);
      return net.op('Mul', [net.batchNorm(y, 8), y]);
    },
    ['bnn.BinaryConv', 'BatchNormalization', 'Mul'],
    /has 2 uses/,
  ],
  [
    'a sum with itself',
    (net, x) => {
      const y = net.binaryConv(x, 8, 8);
      return net.op('Add', [y, y]);
    },
    ['bnn.BinaryConv', 'Add'],
    /has 2 uses/,
  ],
  [
    'a residual that is broadcast',
    (net, x) => net.op('Add', [net.binaryConv(x, 8, 8), net.input([8, 1, 1], 'r')]),
    ['bnn.BinaryConv', 'Add'],
    /are not known to have one shape/,
  ],
  [
    'a second residual',
    (net, x) => net.op('Add', [net.op('Add', [net.binaryConv(x, 8, 8), x]), x]),
    ['bnn.BinaryConvAdd', 'Add'],
    /already taken in a residual/,
  ],
  [
    'BatchNormalization behind a residual',
    (net, x) => net.batchNorm(net.op('Add', [net.binaryConv(x, 8, 8), x]), 8),
    ['bnn.BinaryConvAdd', 'BatchNormalization'],
    /already taken in a residual/,
  ],
  [
    'a PReLU behind a PReLU',
    (net, x) => net.op('PRelu', [net.op('PRelu', [net.binaryConv(x, 8, 8), net.c(2)]), net.c(2)]),
    ['bnn.BinaryConvPRelu', 'PRelu'],
    /already taken in a PReLU/,
  ],
  [
    'a PReLU with a slope per pixel',
    (net, x) => net.op('PRelu', [net.binaryConv(x, 8, 8), net.random([6, 6])]),
    ['bnn.BinaryConv', 'PRelu'],
    /slope of shape \[6, 6\] is not per output channel/,
  ],
  [
    'a PReLU behind a ReLU, and behind float data',
    (net, x) => {
      const y = net.op('PRelu', [net.op('Relu', [net.binaryConv(x, 8, 8)]), net.c(2)]);
      return net.op('PRelu', [net.conv(y, net.sign(net.random([4, 8, 3, 3]))), net.c(2)]);
    },
    ['bnn.BinaryConvRelu', 'PRelu', 'bnn.BinaryWeightConv', 'PRelu'],
    /no operator for a binary layer with a ReLU and a PReLU/,
  ],
  [
    'a residual subtracted from a constant',
    (net, x) => net.op('Sub', [net.c(1), net.op('Add', [net.binaryConv(x, 8, 8), x])]),
    ['bnn.BinaryConvAdd', 'Sub'],
    /already taken in a residual/,
  ],
  [
    'data subtracted from a constant',
    (net, x) => net.binaryConv(net.op('Sub', [net.c(1), x]), 8, 4),
    ['Sub', 'bnn.BinaryConv'],
    /subtracts the data from a constant/,
  ],
  [
    'a shift that varies along the image, and one that enlarges the data',
    (net, x) => {
      const y = net.binaryConv(net.op('Add', [x, net.random([6, 6])]), 8, 1);
      return net.binaryConv(net.op('Add', [net.op('Relu', [y]), net.random([4, 1, 1])]), 4, 2);
    },
    ['Add', 'bnn.BinaryConvRelu', 'Add', 'bnn.BinaryConv'],
    /constant of shape \[(6, 6|4, 1, 1)\] is not per channel of its data/,
  ],
  [
    'a PReLU whose sign changes twice',
    (net, x) => {
      const bent = net.op('PRelu', [net.binaryConv(x, 8, 8), net.c(-1)]);
      return net.binaryConv(net.op('Sub', [bent, net.c(3)]), 8, 4);
    },
    ['bnn.BinaryConvPRelu', 'bnn.BinaryConv'],
    /sign of output channel 0 is not monotone in the accumulator/,
  ],
  [
    'a result whose sign is not all that is read',
    (net, x) => {
      const y = net.binaryConv(x, 8, 8);
      return net.op('Concat', [net.binaryConv(y, 8, 8), net.op('Abs', [y])], { axis: int(1) });
    },
    ['bnn.BinaryConv', 'bnn.BinaryConv', 'Abs', 'Concat'],
    /reads more than the sign/,
  ],
  [
    'BatchNormalization with a negative factor before MaxPool',
    (net, x) => net.op('MaxPool', [net.batchNorm(net.op('Relu', [x]), 8)], { kernel_shape: ints([2, 2]) }),
    ['Relu', 'BatchNormalization', 'MaxPool'],
    /factor of channel \d is -\d.*the maximum would become the minimum/,
  ],
  [
    'a factor per pixel',
    (net, x) => net.op('Mul', [net.binaryConv(x, 8, 8), net.random([6, 6])]),
    ['bnn.BinaryConv', 'Mul'],
    /factor of shape \[6, 6\] is not per output channel/,
  ],
  [
    'a factor that enlarges the result',
    (net, x) => net.op('Mul', [net.binaryConv(x, 8, 1), net.random([4, 1, 1])]),
    ['bnn.BinaryConv', 'Mul'],
    /not per output channel/,
  ],
  [
    'BatchNormalization behind the ReLU of a float convolution',
    (net, x) => net.batchNorm(net.op('Relu', [net.conv(x, net.random([4, 8, 3, 3]))]), 4),
    ['Conv', 'Relu', 'BatchNormalization'],
    /not next to a float layer/,
  ],
  [
    'a dense layer on a transposed matrix',
    (net, x) => {
      const flat = net.op('Flatten', [x], { axis: int(0) });
      return net.op('Gemm', [net.sign(flat), net.sign(net.random([1, 3]))], { transA: int(1) });
    },
    ['Flatten', 'bnn.Sign', 'Gemm'],
    /transA is 1/,
  ],
];

describe('lowering leaves', () => {
  it.each(STAYS)('%s', async (_, build, expected, reason) => {
    const net = new SmallNet();
    const { model, report } = await expectSame(net.finish(build(net, net.input(['N', 8, 6, 6]))));
    expect(operators(model)).toEqual(expected);
    const reasons = [
      ...report.layers.flatMap((layer) => layer.reasons.map(formatReason)),
      ...report.misses.map((m) => m.reason),
    ];
    expect(reasons).toContainEqual(expect.stringMatching(reason));
  });

  it('a result that is a graph output', async () => {
    const net = new SmallNet();
    const y = net.binaryConv(net.input(['N', 8, 6, 6]), 8, 8);
    net.builder.model.graph.addOutput(y);
    const { model, report } = await expectSame(net.finish(net.batchNorm(y, 8)));
    expect(operators(model)).toEqual(['bnn.BinaryConv', 'BatchNormalization']);
    expect(report.layers[0]?.reasons.map(formatReason)).toEqual([
      expect.stringMatching(/fold-batchnorm of .* is a graph output/),
    ]);
    expect(model.graph.outputs.map(({ name }) => name)).toEqual(['conv', expect.any(String)]);
  });

  it('a node that gives a graph output its name', async () => {
    const net = new SmallNet();
    const x = net.input(['N', 8, 6, 6]);
    const { model } = await expectSame(net.finish(net.op('Dropout', [net.op('Identity', [x])])));
    expect(operators(model)).toEqual(['Dropout']);
  });

  it('an empty graph alone', async () => {
    const net = new SmallNet();
    const { model, report } = await expectSame(net.finish(net.op('Relu', [net.input(['N', 2])])));
    expect(operators(model)).toEqual(['Relu']);
    expect(report.layers).toEqual([]);
    expect(model.functions).toEqual([]);
    expect(model.opsets.has('bnn')).toBe(false);
  });
});
