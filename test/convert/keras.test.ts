/** Weights of Keras and Larq: a network of a mapping against loops over the layouts of Keras. */

import { describe, expect, it } from 'vitest';
import { convertCheckpoint } from '../../src/convert/checkpoint/convert-checkpoint.ts';
import { KERAS, parseMapping } from '../../src/convert/checkpoint/mapping.ts';
import { readKerasArchive } from '../../src/convert/keras/keras-archive.ts';
import { fromKeras, readKerasCheckpoint } from '../../src/convert/keras/keras-checkpoint.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import { maxAbsoluteError } from '../../src/core/numbers/tolerance.ts';
import { float32, type Tensor, tensor } from '../../src/core/tensors/tensor.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { withZeros } from './build.ts';
import { h5File, missingH5 } from './h5-files.ts';
import { createRun } from './run-model.ts';
import { zipFile } from './torch-files.ts';

const rng = new Rng(5);
/** With zeros among them: Larq gives +1 there. */
const random = (shape: readonly number[]): Tensor<'float32'> =>
  float32(
    shape,
    withZeros(
      shape.reduce((product, size) => product * size, 1),
      rng.below(1000),
    ),
  );
const positive = (count: number) =>
  float32(
    [count],
    Array.from({ length: count }, () => 0.5 + rng.uniform()),
  );

const [H, W, C, O, CLASSES] = [5, 4, 3, 6, 4];
const WEIGHTS = {
  conv: random([3, 3, C, O]),
  depthwise: random([3, 3, O, 1]),
  gamma: positive(O),
  // No sum of signs gives 0 behind the normalization, where rounding would decide.
  beta: positive(O),
  mean: positive(O),
  variance: positive(O),
  dense: random([3 * 2 * O, CLASSES]),
  bias: random([CLASSES]),
};
const FILE: Readonly<Record<string, Tensor>> = {
  'conv/conv/kernel:0': WEIGHTS.conv,
  'bn/bn/gamma:0': WEIGHTS.gamma,
  'bn/bn/beta:0': WEIGHTS.beta,
  'bn/bn/moving_mean:0': WEIGHTS.mean,
  'bn/bn/moving_variance:0': WEIGHTS.variance,
  'depthwise/depthwise/depthwise_kernel:0': WEIGHTS.depthwise,
  'dense/dense/kernel:0': WEIGHTS.dense,
  'dense/dense/bias:0': WEIGHTS.bias,
};
const MAPPING = {
  input: [C, H, W],
  layers: [
    { op: 'sign' },
    { op: 'conv', weight: 'conv.weight', binary: true, pad: 'same', stride: 2 },
    { op: 'batch-norm', prefix: 'bn' },
    { op: 'sign' },
    { op: 'conv', weight: 'depthwise.weight', binary: true, pad: 1, groups: O },
    { op: 'flatten' },
    { op: 'linear', weight: 'dense.weight', bias: 'dense.bias' },
  ],
};

const sign = (x: number) => (x >= 0 ? 1 : -1);

/** The network as Keras computes it: NHWC, HWIO, epsilon 1e-3, `same` padding with the odd row behind. */
function keras(x: Float32Array): number[] {
  const [height, width] = [3, 2];
  const at = (i: number, j: number, c: number) => sign(x[(c * H + i) * W + j]!);
  const first: number[] = [];
  // 5 rows: 3 outputs at stride 2 see 7, so one in front; 4 columns: 2 outputs see 5, so none in front.
  for (let i = 0; i < height; i++)
    for (let j = 0; j < width; j++)
      for (let o = 0; o < O; o++) {
        let sum = 0;
        for (let r = 0; r < 3; r++)
          for (let s = 0; s < 3; s++)
            for (let c = 0; c < C; c++) {
              const [row, column] = [2 * i + r - 1, 2 * j + s];
              if (row < 0 || row >= H || column >= W) continue;
              sum += at(row, column, c) * sign(WEIGHTS.conv.data[((r * 3 + s) * C + c) * O + o]!);
            }
        const { gamma, beta, mean, variance } = WEIGHTS;
        const normal = (sum - mean.data[o]!) / Math.sqrt(variance.data[o]! + 1e-3);
        first.push(sign(gamma.data[o]! * normal + beta.data[o]!));
      }
  const flat: number[] = [];
  for (let i = 0; i < height; i++)
    for (let j = 0; j < width; j++)
      for (let o = 0; o < O; o++) {
        let sum = 0;
        for (let r = 0; r < 3; r++)
          for (let s = 0; s < 3; s++) {
            const [row, column] = [i + r - 1, j + s - 1];
            if (row < 0 || row >= height || column < 0 || column >= width) continue;
            sum += first[(row * width + column) * O + o]! * sign(WEIGHTS.depthwise.data[(r * 3 + s) * O + o]!);
          }
        flat.push(sum);
      }
  return Array.from({ length: CLASSES }, (_, k) =>
    flat.reduce((sum, value, i) => sum + value * WEIGHTS.dense.data[i * CLASSES + k]!, WEIGHTS.bias.data[k]!),
  );
}

async function check(tensors: ReadonlyMap<string, Tensor>): Promise<void> {
  const mapping = parseMapping(JSON.stringify(MAPPING), 'map.json', KERAS);
  const { source, model, lowered, report } = convertCheckpoint({ tensors }, { mapping });
  expect(report.layers.map(({ kind }) => kind)).toEqual(['binary', 'binary', 'float']);
  const x = withZeros(C * H * W, 3);
  for (const form of [source, model, lowered.model]) {
    expect(maxAbsoluteError(await (await createRun(form))(x, [1, C, H, W]), keras(x))).toBeLessThan(1e-5);
  }
}

describe('layouts of Keras', () => {
  it('a network of a mapping computes what Keras does', () => check(fromKeras(new Map(Object.entries(FILE))).tensors));

  it('the same where the weights of a depthwise layer are called kernel, as in Keras 3', () => {
    const { 'depthwise/depthwise/depthwise_kernel:0': depthwise, ...others } = FILE;
    return check(fromKeras(new Map(Object.entries({ ...others, 'depthwise/depthwise/kernel': depthwise! }))).tensors);
  });

  it.each([1, 2])('a separable convolution of %i dimensions is a depthwise and a pointwise one', async (axes) => {
    const [channels, multiplier, outputs, size, window] = [2, 3, 4, 5, 2];
    const [depth, point, bias] = [
      random([...new Array<number>(axes).fill(window), channels, multiplier]),
      random([...new Array<number>(axes).fill(1), channels * multiplier, outputs]),
      random([outputs]),
    ];
    const { tensors } = fromKeras(
      new Map([
        ['sep/sep/depthwise_kernel:0', depth],
        ['sep/sep/pointwise_kernel:0', point],
        ['sep/sep/bias:0', bias],
      ]),
    );
    const text = JSON.stringify({
      input: [channels, ...new Array<number>(axes).fill(size)],
      layers: [
        { op: 'conv', weight: 'sep.weight', groups: channels },
        { op: 'conv', weight: 'sep.pointwise.weight', bias: 'sep.bias' },
      ],
    });
    const { source, lowered } = convertCheckpoint({ tensors }, { mapping: parseMapping(text, 'map.json', KERAS) });
    const width = axes === 2 ? size : 1;
    const across = axes === 2 ? window : 1;
    const x = withZeros(channels * size * width, 3);
    const expected: number[] = [];
    for (let o = 0; o < outputs; o++)
      for (let i = 0; i <= size - window; i++)
        for (let j = 0; j <= width - across; j++) {
          let sum = bias.data[o]!;
          for (let c = 0; c < channels; c++)
            for (let m = 0; m < multiplier; m++)
              for (let r = 0; r < window; r++)
                for (let s = 0; s < across; s++) {
                  const pixel = x[(c * size + i + r) * width + j + s]!;
                  const inner = depth.data[((r * across + s) * channels + c) * multiplier + m]!;
                  sum += pixel * inner * point.data[(c * multiplier + m) * outputs + o]!;
                }
          expected.push(sum);
        }
    for (const form of [source, lowered.model]) {
      const shape = [1, channels, ...new Array<number>(axes).fill(size)];
      expect(maxAbsoluteError(await (await createRun(form))(x, shape), expected)).toBeLessThan(1e-4);
    }
  });

  // Paths of the files that `model.save('x.h5')` of Keras 3.15 writes.
  it.each([
    ['conv/sequential/conv/kernel', 'conv.weight'],
    ['bn/sequential/bn/moving_mean', 'bn.running_mean'],
    ['block/sequential_3/block/conv/kernel', 'block.conv.weight'],
    ['block/sequential_4/block/block/kernel', 'block.block.weight'],
    ['inner/sequential_2/inner/conv/bias', 'inner.conv.bias'],
    ['inner/inner/conv/kernel', 'inner.conv.weight'],
    ['inner/conv/kernel', 'inner.conv.weight'],
    ['conv/conv/kernel', 'conv.weight'],
  ])('the variable %s is %s', (path, name) => {
    const value = name.endsWith('.weight') ? random([3, 3, 2, 2]) : random([2]);
    expect([...fromKeras(new Map([[`model_weights/${path}`, value]])).tensors.keys()]).toEqual([name]);
  });

  it('leaves the optimizer out, and the repeated name of a layer', () => {
    const all = new Map(Object.entries(FILE).map(([path, value]) => [`model_weights/${path}`, value]));
    all.set('optimizer_weights/Adam/conv/kernel/m:0', WEIGHTS.conv);
    const { tensors, entries } = fromKeras(all);
    expect([...tensors.keys()].sort()).toEqual(
      ['bn.bias', 'bn.running_mean', 'bn.running_var', 'bn.weight', 'conv.weight', 'dense.bias', 'dense.weight'].concat(
        'depthwise.weight',
      ),
    );
    expect(entries.get('conv.weight')).toMatchObject({ path: 'model_weights/conv/conv/kernel:0', shape: [3, 3, C, O] });
    expect(tensors.get('conv.weight')!.shape).toEqual([O, C, 3, 3]);
  });

  it('a network of the zoo, when the layers have its names', () => {
    const { graph } = buildModel('binarynet-mini', { seed: 3 });
    const names: Readonly<Record<string, string>> = {
      'bn.weight': 'gamma',
      'bn.bias': 'beta',
      'bn.running_mean': 'moving_mean',
      'bn.running_var': 'moving_variance',
    };
    const datasets = new Map<string, Tensor>();
    for (const { name, constant } of graph.constants()) {
      const [, layer = '', parameter = ''] = /^(.+)\.(weight|bias|running_mean|running_var)$/.exec(name) ?? [];
      if (layer === '') continue;
      const { shape, data } = constant as Tensor<'float32'>;
      if (shape.length === 1) {
        const kind = names[`${layer.replace(/\d/g, '')}.${parameter}`] ?? parameter;
        datasets.set(`${layer}/${layer}/${kind}:0`, constant);
        continue;
      }
      // [O, I, …] to […, I, O], element by element.
      const [outputs = 1, inputs = 1, ...spatial] = shape;
      const taps = spatial.reduce((product, size) => product * size, 1);
      const moved = new Float32Array(data.length);
      for (let o = 0; o < outputs; o++)
        for (let i = 0; i < inputs; i++)
          for (let t = 0; t < taps; t++) moved[(t * inputs + i) * outputs + o] = data[(o * inputs + i) * taps + t]!;
      datasets.set(`${layer}/${layer}/kernel:0`, float32([...spatial, inputs, outputs], moved));
    }
    const { source } = convertCheckpoint(fromKeras(datasets), { network: 'binarynet-mini' });
    for (const { name, constant } of graph.constants()) {
      expect(source.graph.values.get(name)?.constant, name).toEqual(constant);
    }
  });
});

describe('numbered variables of Keras 3', () => {
  const zeros = (...shape: number[]) => float32(shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));
  const named = (shapes: Readonly<Record<string, readonly number[]>>, names: Readonly<Record<string, string>> = {}) => {
    const all = Object.entries(shapes).map(([path, shape]): [string, Tensor] => [path, zeros(...shape)]);
    return [...fromKeras(new Map(all), new Map(Object.entries(names))).tensors].map(
      ([name, { shape }]) => `${name} ${shape.join('x')}`,
    );
  };
  const vars = (group: string, ...shapes: (readonly number[])[]) =>
    Object.fromEntries(shapes.map((shape, i) => [`${group}/vars/${i}`, shape]));

  it.each<[string, ReturnType<typeof vars>, string[]]>([
    ['a convolution', vars('layers/conv2d', [3, 3, 2, 5], [5]), ['conv2d.weight 5x2x3x3', 'conv2d.bias 5']],
    ['of one dimension', vars('layers/quant_conv1d_1', [1, 1, 5]), ['quant_conv1d_1.weight 5x1x1']],
    ['depthwise', vars('layers/quant_depthwise_conv2d', [3, 3, 4, 1]), ['quant_depthwise_conv2d.weight 4x1x3x3']],
    ['a dense layer', vars('layers/dense', [6, 5], [5]), ['dense.weight 5x6', 'dense.bias 5']],
    ['slopes', vars('layers/p_re_lu', [1, 1, 4]), ['p_re_lu.weight 4']],
    [
      'a normalization',
      vars('layers/batch_normalization', [4], [4], [4], [4]),
      ['weight', 'bias', 'running_mean', 'running_var'].map((name) => `batch_normalization.${name} 4`),
    ],
    [
      'one of three variables',
      vars('layers/batch_normalization_2', [4], [4], [4]),
      ['gamma_or_beta', 'running_mean', 'running_var'].map((name) => `batch_normalization_2.${name} 4`),
    ],
    [
      'one without factor and offset',
      vars('bn/batch_normalization', [4], [4]),
      ['bn.batch_normalization.running_mean 4', 'bn.batch_normalization.running_var 4'],
    ],
    ['what is not known', vars('block', [4], [1]), ['block.0 4', 'block.1 1']],
    ['attributes of a class', vars('block/conv', [3, 3, 2, 5]), ['block.conv.weight 5x2x3x3']],
    ['the optimizer', vars('optimizer', [3, 3, 2, 5]), []],
    ['Keras 2', vars('_layer_checkpoint_dependencies/quant_conv2d', [3, 3, 2, 5]), ['quant_conv2d.weight 5x2x3x3']],
  ])('%s', (_, shapes, expected) => {
    expect(named(shapes)).toEqual(expected);
  });

  it('layers have the names that the file tells, also within each other', () => {
    const shapes = vars('layers/sequential/layers/dense', [6, 5]);
    const names = { 'layers/sequential': 'inner', 'layers/sequential/layers/dense': 'fc' };
    expect(named(shapes, names)).toEqual(['inner.fc.weight 5x6']);
  });

  it('a mapping says whether three variables of a normalization lack gamma or beta', async () => {
    const values = [
      [1, 2],
      [0, 1],
      [3, 8],
    ].map((data) => float32([2], data));
    const { tensors } = fromKeras(new Map(values.map((value, i) => [`layers/batch_normalization/vars/${i}`, value])));
    const convert = (without: object) => {
      const layer = { op: 'batch-norm', prefix: 'batch_normalization', epsilon: 1, ...without };
      const mapping = parseMapping(JSON.stringify({ input: [2], layers: [layer] }), 'map.json', KERAS);
      return convertCheckpoint({ tensors }, { mapping }).source;
    };
    expect(() => convert({})).toThrow(/three variables: the file does not say whether the first is gamma or beta/);
    const x = Float32Array.of(2, 4);
    // (2 − 0) / 2 and (4 − 1) / 3
    expect(Array.from(await (await createRun(convert({ without: 'gamma' })))(x, [1, 2]))).toEqual([2, 3]);
    expect(Array.from(await (await createRun(convert({ without: 'beta' })))(x, [1, 2]))).toEqual([1, 2]);
  });
});

describe.skipIf(missingH5 !== undefined)(`files${missingH5 === undefined ? '' : ` (skipped: ${missingH5})`}`, () => {
  it.each([false, true])('the same from a file, compressed: %s', async (compressed) => {
    const { tensors } = await readKerasCheckpoint(await h5File(FILE, compressed));
    await check(tensors);
  });

  it('reads every dtype of numbers, and leaves strings out', async () => {
    const tensors: Record<string, Tensor> = {
      a: tensor('float64', [2], Float64Array.of(1 / 3, -1e300)),
      b: tensor('int8', [3], Int8Array.of(-128, 0, 127)),
      c: tensor('uint16', [1, 1], Uint16Array.of(65535)),
      d: tensor('int64', [1], BigInt64Array.of(-(2n ** 62n))),
    };
    const { entries } = await readKerasCheckpoint(await h5File(tensors));
    expect([...entries.values()].map(({ path }) => path)).toEqual(['a', 'b', 'c', 'd']);
    for (const { path, tensor: found } of entries.values()) expect(found).toEqual(tensors[path]);
  });

  it.each([
    ['no HDF5', (bytes: Uint8Array) => bytes.fill(0, 0, 8), /no signature/],
    ['a damaged head', (bytes: Uint8Array) => bytes.fill(0xff, 8, 90), /not a readable HDF5 file/],
    ['half a file', (bytes: Uint8Array) => bytes.slice(0, bytes.length / 2), /not a readable HDF5 file/],
  ])('refuses %s', async (_, damage, message) => {
    const bytes = damage(await h5File(FILE));
    await expect(readKerasCheckpoint(bytes, 'w.h5')).rejects.toMatchObject({
      code: 'E_FORMAT',
      at: 'w.h5',
      message: expect.stringMatching(message) as string,
    });
  });

  it('refuses a tensor that is many times the file', async () => {
    const zeros = tensor('int8', [80_000_000], new Int8Array(80_000_000));
    await expect(readKerasCheckpoint(await h5File({ zeros }, true))).rejects.toThrow(/more than 6\d MB of memory/);
  });

  it('refuses pieces that are many times the file', async () => {
    const bytes = await h5File({ w: tensor('int8', [2], Int8Array.of(1, 2)) }, { chunks: [300_000_000] });
    expect(bytes.length).toBeLessThan(1e6);
    await expect(readKerasCheckpoint(bytes, 'w.h5')).rejects.toMatchObject({ code: 'E_FORMAT', at: 'w.h5' });
  });

  it('reads a .keras file: the description names the layers and tells gamma from beta', async () => {
    const values = [5, 6, 7].map((value) => float32([2], [value, value]));
    const weights = await h5File({
      'layers/quant_conv2d/vars/0': float32([1, 1, 1, 2], [1, -1]),
      'layers/quant_conv2d_1/vars/0': float32([1, 1, 2, 1], [1, -1]),
      ...Object.fromEntries(values.map((value, i) => [`layers/batch_normalization/vars/${i}`, value])),
      ...Object.fromEntries(
        values.map((value, i) => [`layers/sequential/layers/batch_normalization/vars/${i}`, value]),
      ),
    });
    const layer = (className: string, name: string, more: object = {}) => ({
      class_name: className,
      config: { name, ...more },
    });
    const config = {
      class_name: 'Functional',
      config: {
        layers: [
          layer('InputLayer', 'image'),
          layer('Larq>QuantConv2D', 'stem'),
          layer('BatchNormalization', 'bn1', { scale: false, center: true }),
          layer('Larq>QuantConv2D', 'head'),
          layer('Sequential', 'inner', { layers: [layer('BatchNormalization', 'bn', { scale: true, center: false })] }),
        ],
      },
    };
    const file = (description: string) =>
      zipFile([
        ['metadata.json', new Uint8Array(2)],
        ['config.json', new TextEncoder().encode(description)],
        ['model.weights.h5', weights],
      ]);
    const names = async (description: string) =>
      [...(await readKerasArchive(file(description), 'net.keras')).tensors].map(
        ([name, { shape }]) => `${name} ${shape}`,
      );
    expect((await names(JSON.stringify(config))).sort()).toEqual([
      'bn1.bias 2',
      'bn1.running_mean 2',
      'bn1.running_var 2',
      'head.weight 1,2,1,1',
      'inner.bn.running_mean 2',
      'inner.bn.running_var 2',
      'inner.bn.weight 2',
      'stem.weight 2,1,1,1',
    ]);
    for (const useless of [
      '',
      '[',
      '{"config": {"layers": [1, null, {"class_name": {}, "config": []}]}}',
      '{"config": 5}',
    ]) {
      expect(await names(useless)).toContain('quant_conv2d.weight 2,1,1,1');
    }
  });
});
