/** Random inputs for every kernel of the contract. */

import * as tf from '@tensorflow/tfjs-core';
import { toWords } from '../../src/data/batches/picture-bytes.ts';
import { createDsq } from '../../src/estimators/dsq.ts';
import { createEde } from '../../src/estimators/ede.ts';
import type { NormAttributes } from '../../src/kernels/batch-norm.ts';
import type { AttributesOf, InputsOf, KernelName } from '../../src/kernels/contract.ts';
import type { ConvAttributes } from '../../src/kernels/convolution.ts';
import type { TableSlope } from '../../src/kernels/sign.ts';
import { normal, type Values } from '../backends/compare-kernels.ts';

export interface Case<N extends KernelName> {
  readonly name: string;
  readonly inputs: { readonly [K in keyof InputsOf<N>]: Values<Float32Array | Int32Array> };
  readonly attributes: AttributesOf<N>;
  /** Largest error relative to the norm of a result; 0 for the same numbers. */
  readonly tolerance?: number;
}

export const SEED = Number(process.env['BNN_TEST_SEED'] ?? 1);

let drawn = 0;
const draw = (...shape: number[]): Values => normal(shape, 1000 * SEED + drawn++);
const map = ({ shape, values }: Values, f: (value: number, i: number) => number): Values => ({
  shape,
  values: values.map(f),
});
const signs = (of: Values): Values => map(of, (v) => (v >= 0 ? 1 : -1));
const positive = (of: Values): Values => map(of, (v) => v * v + 0.1);
const number = (value: number, shape: number[] = []): Values => ({ shape, values: Float32Array.of(value) });

/** By turns so many that a thread may have one element, and so many that it may have four. */
const columnsOf = (i: number): number => 40 + (i % 2);

/** Some where the functions have their corners, too. */
function points(columns = 41): Values {
  const x = draw(37, columns);
  x.values.set([0, -0, 0.1, -0.1, 1.5, -1.5, 1, -1]);
  return x;
}

const tableOf = (estimator: ReturnType<typeof createDsq>): TableSlope => {
  const { attributes } = estimator;
  if (attributes?.estimator !== 'table') throw new Error('no table');
  return attributes;
};

const SLOPES = {
  'ReSTE, o = 1': { estimator: 'reste', o: 1, t: 1.5, m: Math.fround(0.1) },
  'ReSTE, o = 2': { estimator: 'reste', o: 2, t: 1.5, m: Math.fround(0.1) },
  'ReSTE, o = 2.9': { estimator: 'reste', o: 2.9, t: Math.fround(1.2), m: Math.fround(0.05) },
  'STE clipped at 1': { estimator: 'ste', clip: 1 },
  identity: { estimator: 'ste', clip: Infinity },
} as const;
const TABLES = { DSQ: tableOf(createDsq(0.2)), EDE: tableOf(createEde(1)) };

const NORMS = [
  { shape: [2, 5, 5, 16], scaled: true, relu: true },
  { shape: [3, 8, 8, 70], scaled: false, relu: true },
  { shape: [4, 12, 12, 5], scaled: true, relu: false },
  { shape: [33, 10], scaled: false, relu: false },
].flatMap((norm) => [false, true].map((added) => ({ ...norm, added })));

function norm({ shape, scaled, added }: (typeof NORMS)[number]) {
  const channels = shape.at(-1) ?? 1;
  return {
    x: map(draw(...shape), (v, i) => 3 * v + (i % channels)),
    ...{ gamma: draw(channels), beta: draw(channels), mean: draw(channels), variance: positive(draw(channels)) },
    ...(scaled && { scale: number(0.37) }),
    ...(added && { residual: draw(...shape) }),
  };
}
const normName = ({ shape, scaled, relu, added }: (typeof NORMS)[number]) =>
  [
    `[${shape.join(', ')}]`,
    ...(scaled ? ['scaled'] : []),
    ...(relu ? ['rectified'] : []),
    ...(added ? ['added to'] : []),
  ].join(' ');

const SLIDING = {
  strides: [1, 1],
  dilations: [1, 1],
  padsBefore: false,
  dataFormat: 'NHWC',
  dimRoundingMode: undefined,
} as const;
const pairs = (top: number, bottom: number, left: number, right: number): ConvAttributes['pad'] => [
  [0, 0],
  [top, bottom],
  [left, right],
  [0, 0],
];

interface Conv {
  readonly name: string;
  readonly filter: readonly [number, number, number, number];
  readonly attributes: ConvAttributes & { readonly groups: number };
}
const conv = (name: string, filter: Conv['filter'], groups: number, rest: Partial<ConvAttributes>): Conv => ({
  name,
  filter,
  attributes: { ...SLIDING, strides: [1, 1], dilations: [1, 1], pad: 'same', groups, ...rest },
});

const BINARY: readonly Conv[] = [
  conv('half a word, uneven padding', [3, 3, 16, 5], 1, { pad: pairs(2, 1, 0, 3) }),
  conv('one bit more than a word, stride 2', [3, 3, 33, 3], 1, { strides: [2, 2] }),
  conv('1×1 over two words, stride 2', [1, 1, 64, 2], 1, { strides: [2, 2], pad: 'valid' }),
  conv('many outputs', [3, 3, 8, 70], 1, {}),
];
const CONVS: readonly Conv[] = [
  ...BINARY,
  conv('dilated', [3, 2, 5, 7], 1, { dilations: [2, 3], pad: pairs(2, 2, 0, 3) }),
  conv('depthwise', [3, 3, 1, 12], 12, { strides: [2, 1] }),
  conv('depthwise, two outputs each, uneven', [2, 3, 1, 10], 5, { pad: pairs(0, 1, 2, 0), dilations: [2, 1] }),
  conv('grouped', [3, 3, 4, 6], 3, { pad: 'valid' }),
];

/** x, filter, dy and what may be added to the gradient of x. */
function convInputs({ filter, attributes }: Conv) {
  const [n, h, w, channels] = [2, 7, 6, filter[2] * attributes.groups] as const;
  const { strides, dilations, pad } = attributes;
  const { outShape } = tf.backend_util.computeConv2DInfo([n, h, w, channels], [...filter], strides, dilations, pad);
  const x = draw(n, h, w, channels);
  x.values.set([0, -0]);
  return { x, filter: draw(...filter), dy: draw(...outShape), sum: draw(n, h, w, channels) };
}

const plain = ({ groups: _, ...attributes }: Conv['attributes']): ConvAttributes => attributes;

const optimizer = (size: number) => ({ param: draw(size), grad: draw(size) });
const ADAM = { lr: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 };

/** Every byte of every channel. */
const byteCase = (shape: readonly [number, number, number, number]): Case<'BnnNormalizeBytes'> => {
  const bytes = Uint8Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => (i / shape[3]) & 255);
  const words = toWords(bytes);
  return {
    name: `[${shape.join(', ')}]`,
    inputs: { words: { shape: [words.length], values: words }, table: draw(shape[3] * 256) },
    attributes: [{ shape }],
    tolerance: 0,
  };
};

export const CASES: { readonly [N in KernelName]: readonly Case<N>[] } = {
  BnnNormalizeBytes: [byteCase([2, 16, 16, 3]), byteCase([3, 13, 7, 1])],
  BnnSign: [{ name: 'with zeros', inputs: { x: points() }, attributes: [], tolerance: 0 }],
  BnnSignGrad: Object.entries(SLOPES).map(([name, slope], i) => ({
    name,
    inputs: { x: points(columnsOf(i)), dy: draw(37, columnsOf(i)) },
    attributes: [slope],
  })),
  BnnSignGradTable: Object.entries(TABLES).map(([name, slope], i) => ({
    name,
    inputs: { x: points(columnsOf(i)), dy: draw(37, columnsOf(i)) },
    attributes: [slope],
  })),
  BnnSignGradDsq: [0.2, 0.02].map((alpha) => ({
    name: `α = ${alpha}`,
    inputs: { x: points(), dy: draw(37, 41) },
    attributes: [{ alpha }],
    tolerance: 1e-5,
  })),
  BnnClipGrad: [
    [0, Infinity],
    [-Infinity, 1],
    [-1, 0.1],
  ].map(([low = 0, high = 0]) => ({
    name: `${low} to ${high}`,
    inputs: { y: points(), dy: draw(37, 41) },
    attributes: [{ low, high }],
    tolerance: 0,
  })),
  BnnMeanMagnitude: [{ name: 'of 1517', inputs: { x: points() }, attributes: [] }],
  BnnMeanMagnitudeGrad: [
    { name: 'alone', inputs: { x: points(40), dy: number(-0.7, [1, 1]) }, attributes: [] },
    { name: 'added to', inputs: { x: points(), dy: number(-0.7), sum: draw(37, 41) }, attributes: [] },
  ],
  BnnBatchNormTrain: NORMS.map((c) => {
    const { mean: runningMean, variance: runningVariance, ...inputs } = norm(c);
    const attributes = { epsilon: 1e-5, relu: c.relu, keep: 0.9 };
    return { name: normName(c), inputs: { ...inputs, runningMean, runningVariance }, attributes: [attributes] };
  }),
  BnnBatchNormInfer: NORMS.map((c) => ({
    name: normName(c),
    inputs: norm(c),
    attributes: [{ epsilon: 1e-5, relu: c.relu }],
  })),
  // With a large epsilon, so that the gradient of the scale is not a small difference of large numbers.
  BnnBatchNormGrad: NORMS.filter(({ added }) => !added).map((c) => {
    const { beta: _, ...inputs } = norm(c);
    return {
      name: normName(c),
      inputs: { ...inputs, dy: draw(...c.shape) },
      attributes: [{ epsilon: 1, relu: c.relu }],
      tolerance: 1e-5,
    };
  }),
  BnnBatchNormMoments: NORMS.map((c) => {
    const { x, scale } = norm(c);
    return { name: normName(c), inputs: scale === undefined ? { x } : { x, scale }, attributes: [{ relu: c.relu }] };
  }),
  BnnBatchNormGradSums: NORMS.filter(({ added }) => !added).map((c) => {
    const { beta: _, gamma: __, ...inputs } = norm(c);
    const attributes: [NormAttributes] = [{ epsilon: 1, relu: c.relu }];
    return { name: normName(c), inputs: { ...inputs, dy: draw(...c.shape) }, attributes, tolerance: 1e-5 };
  }),
  BnnBatchNormGradApply: NORMS.filter(({ added }) => !added).map((c) => {
    const { beta: _, ...inputs } = norm(c);
    const channels = c.shape.at(-1) ?? 1;
    const means = { meanDgamma: draw(channels), meanDbeta: draw(channels) };
    const attributes: [NormAttributes] = [{ epsilon: 1, relu: c.relu }];
    return { name: normName(c), inputs: { ...inputs, ...means, dy: draw(...c.shape) }, attributes, tolerance: 1e-5 };
  }),
  BnnConv: CONVS.map((c) => {
    const { x, filter } = convInputs(c);
    return { name: c.name, inputs: { x, filter }, attributes: [c.attributes] };
  }),
  BnnConvInputGrad: CONVS.map((c) => {
    const { x, filter, dy } = convInputs(c);
    return { name: c.name, inputs: { dy, filter }, attributes: [{ ...c.attributes, inputShape: x.shape }] };
  }),
  BnnConvFilterGrad: CONVS.map((c) => {
    const { x, dy } = convInputs(c);
    return { name: c.name, inputs: { x, dy }, attributes: [{ ...c.attributes, filterShape: c.filter }] };
  }),
  BnnBinaryConv: BINARY.flatMap((c) =>
    [true, false].map((filterIsSigns) => {
      const { x, filter } = convInputs(c);
      return {
        name: `${c.name}, ${filterIsSigns ? 'of signs' : 'of numbers'}`,
        inputs: { x, filter: filterIsSigns ? signs(filter) : filter },
        attributes: [{ ...plain(c.attributes), filterIsSigns }],
        ...(filterIsSigns && { tolerance: 0 }),
      };
    }),
  ),
  BnnBinaryConvInputGrad: Object.entries({ ...SLOPES, ...TABLES }).map(([name, slope], i) => {
    const c = BINARY[i % BINARY.length] as Conv;
    const { sum, ...inputs } = convInputs(c);
    return {
      name: `${c.name}, ${name}`,
      inputs: i % 2 === 0 ? inputs : { ...inputs, sum },
      attributes: [{ ...plain(c.attributes), ...slope }],
    };
  }),
  BnnBinaryConvFilterGrad: BINARY.map((c) => {
    const { x, dy } = convInputs(c);
    return { name: c.name, inputs: { x, dy }, attributes: [{ ...plain(c.attributes), filterShape: c.filter }] };
  }),
  BnnSgdMomentum: [0, 0.01].map((weightDecay, i) => ({
    name: `decay ${weightDecay}`,
    inputs: { ...optimizer(1031 + i), velocity: draw(1031 + i) },
    attributes: [{ lr: 0.1, momentum: 0.9, weightDecay }],
  })),
  BnnAdam: [true, false].map((decoupled, i) => ({
    name: decoupled ? 'decoupled' : 'coupled',
    inputs: { ...optimizer(1031 + i), m: draw(1031 + i), v: positive(draw(1031 + i)) },
    attributes: [{ ...ADAM, decoupled, step: 3 }],
  })),
};
