/** Networks for MNIST as PyTorch's exporter writes them: names of modules, biases, a Reshape or Flatten before the head. */

import { scalar } from '../../src/core/tensors/tensor.ts';
import { type Attributes, float, int, ints } from '../../src/graph/attribute.ts';
import type { Dim, Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { Source } from './build.ts';

const window = (size: number, stride = 1): Attributes => ({
  dilations: ints([1, 1]),
  kernel_shape: ints([size, size]),
  pads: ints(new Array<number>(4).fill((size - 1) >> 1)),
  strides: ints([stride, stride]),
});

/** Weights of small size, as after a usual initialization. */
function weight(s: Source, shape: readonly number[]): Value {
  const t = s.normals(shape);
  const fanIn = t.data.length / shape[0]!;
  return s.c({ ...t, data: t.data.map((value) => value * Math.sqrt(2 / fanIn)) });
}

function batchNorm(s: Source, x: Value, channels: number, name: string): Value {
  const vector = (value: number) => s.c({ ...s.normals([channels]), data: new Float32Array(channels).fill(value) });
  // Equal initializers are stored once: the fresh scale is the fresh variance.
  const [ones, zeros] = [vector(1), vector(0)];
  return s.op(
    'BatchNormalization',
    [x, ones, zeros, zeros, ones],
    { epsilon: float(1e-5), momentum: float(0.9) },
    name,
  );
}

/** Conv, three blocks of Conv, BatchNormalization and ReLU, and a dense layer. */
export function smallCnn(batch: Dim = 'batch', classes = 10): Model {
  const s = new Source([batch, 1, 28, 28], 13);
  let h = s.op('Conv', [s.x, weight(s, [16, 1, 3, 3]), s.c(s.normals([16]))], window(3, 2), '/stem/Conv');
  h = s.op('Relu', [h], {}, '/stem/Relu');
  for (const [i, channels] of [16, 16].entries()) {
    h = s.op('Conv', [h, weight(s, [channels, channels, 3, 3])], window(3), `/block${i}/Conv`);
    h = batchNorm(s, h, channels, `/block${i}/BatchNormalization`);
    h = s.op('Relu', [h], {}, `/block${i}/Relu`);
  }
  h = s.op('MaxPool', [h], { ...window(2, 2), pads: ints([0, 0, 0, 0]) }, '/pool/MaxPool');
  h = s.op('Reshape', [h, s.ints(batch === 1 ? [1, 784] : [-1, 784])], {}, '/Reshape');
  const w = weight(s, [classes, 784]);
  return s.finish(s.op('Gemm', [h, w, s.c(s.normals([classes]))], { transB: int(1) }, '/head/Gemm'));
}

/** Depthwise convolutions with ReLU6, an inverted residual, a concatenation of two branches, and a Softmax. */
export function mobileCnn(): Model {
  const s = new Source(['batch', 1, 28, 28], 13);
  const relu6 = (x: Value, name: string) => s.op('Clip', [x, s.c(scalar(0)), s.c(scalar(6))], {}, name);
  const conv = (x: Value, shape: readonly number[], attributes: Attributes, name: string) =>
    batchNorm(
      s,
      s.op('Conv', [x, weight(s, shape)], { group: int(1), ...attributes }, `${name}/Conv`),
      shape[0]!,
      `${name}/Norm`,
    );
  let h = relu6(conv(s.x, [8, 1, 3, 3], window(3, 2), '/stem'), '/stem/Clip');
  let y = relu6(conv(h, [24, 8, 1, 1], window(1), '/expand'), '/expand/Clip');
  y = relu6(conv(y, [24, 1, 3, 3], { ...window(3), group: int(24) }, '/depthwise'), '/depthwise/Clip');
  h = s.op('Add', [h, conv(y, [8, 24, 1, 1], window(1), '/project')], {}, '/Add');
  const left = relu6(conv(h, [8, 8, 3, 3], window(3, 2), '/left'), '/left/Clip');
  const right = s.op('AveragePool', [h], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }, '/right/AveragePool');
  h = s.op('Concat', [left, right], { axis: int(1) }, '/Concat');
  h = relu6(conv(h, [32, 16, 1, 1], window(1), '/last'), '/last/Clip');
  h = s.op('ReduceMean', [h], { axes: ints([2, 3]), keepdims: int(0) }, '/ReduceMean');
  h = s.op('Gemm', [h, weight(s, [10, 32]), s.c(s.normals([10]))], { transB: int(1) }, '/head/Gemm');
  return s.finish(s.op('Softmax', [h], { axis: int(-1) }, '/Softmax'));
}
