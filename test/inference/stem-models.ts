/** Stems of networks for large pictures, as small models. */

import { tensor } from '../../src/core/tensors/tensor.ts';
import { type Attributes, int, ints } from '../../src/graph/attribute.ts';
import { Builder } from '../../src/graph/builder.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { addBnnFunctions } from '../../src/operators/registry.ts';
import { waves } from './waves.ts';

export interface Stem {
  readonly kernel?: readonly [number, number];
  readonly stride?: number;
  readonly bias?: boolean;
  readonly pool?: { readonly kernel: number; readonly end: number };
  readonly channels?: number;
  readonly size?: readonly [number, number];
  /** The pooling tells where the largest were, too. */
  readonly indices?: boolean;
  /** Which of the nodes give outputs of the network, too: the first is the convolution. */
  readonly outputs?: readonly number[];
  /** What stands behind the convolution, in this order. */
  readonly order: readonly ('Relu' | 'MaxPool' | 'BatchNormalization')[];
}

const OUTPUTS = 18;

/** The same pooling, which gives the places of the largest as an output of the network. */
function withIndices({ model }: Builder, x: Value, pooled: Value, attributes: Attributes): Value {
  const { graph } = model;
  const [y, places] = graph.addNode('MaxPool', [x], { attributes, outputs: ['y', 'places'] }).outputs as [Value, Value];
  [y.dtype, y.shape, places.dtype, places.shape] = [pooled.dtype, pooled.shape, 'int64', pooled.shape];
  graph.addOutput(places);
  if (pooled.producer !== null) graph.removeNode(pooled.producer);
  return y;
}

/** A stem, and a binary layer behind it whose sums count nothing: what comes out is what the stem gave. */
export function stemModel({
  kernel = [7, 7],
  stride = 2,
  bias = true,
  pool = { kernel: 3, end: 1 },
  order,
  ...more
}: Stem): Model {
  const { channels = 3, size = [53, 90], indices = false, outputs = [] } = more;
  const builder = new Builder('stem');
  builder.model.opsets.set('bnn', 1);
  const constant = (name: string, shape: readonly number[], seed: number, make = (v: number) => v) => {
    const count = shape.reduce((product, side) => product * side, 1);
    return builder.constant(name, tensor('float32', shape, waves(count, seed).map(make)));
  };
  const window = (sizes: readonly number[], step: number, pads: readonly number[]) => ({
    kernel_shape: ints(sizes),
    strides: ints([step, step]),
    pads: ints(pads),
  });
  let x: Value = builder.input('x', 'float32', ['N', channels, ...size]);
  const data = [x, constant('w', [OUTPUTS, channels, ...kernel], 1, (v) => v / 9)];
  const [rows, columns] = kernel.map((size) => size >> 1);
  const pads = [rows ?? 0, columns ?? 0, rows ?? 0, columns ?? 0];
  x = builder.op('Conv', bias ? [...data, constant('b', [OUTPUTS], 2)] : data, window(kernel, stride, pads));
  const made = [x];
  for (const op of order) {
    if (op === 'Relu') x = builder.op(op, [x]);
    else if (op === 'MaxPool') {
      const attributes = window([pool.kernel, pool.kernel], 2, [1, 1, pool.end, pool.end]);
      const pooled = builder.op(op, [x], attributes);
      x = indices ? withIndices(builder, x, pooled, attributes) : pooled;
    } else {
      // Factors of both signs.
      const vectors = [3, 4, 5].map((seed) => constant(`n${seed}`, [OUTPUTS], seed));
      x = builder.op(op, [x, ...vectors, constant('variance', [OUTPUTS], 6, (v) => 0.5 + v * v)]);
    }
    made.push(x);
  }
  const zeros = builder.constant('zeros', tensor('float32', [OUTPUTS], new Float32Array(OUTPUTS)));
  const bits = builder.constant('bits', tensor('uint8', [OUTPUTS, 1, 1, 3], new Uint8Array(OUTPUTS * 3)));
  const y = builder.op('bnn.BinaryConvAdd', [x, bits, zeros, zeros, x], {
    ...window([1, 1], 1, [0, 0, 0, 0]),
    dilations: ints([1, 1]),
    channels: int(OUTPUTS),
    group: int(1),
  });
  builder.output(y, 'float32', y.shape ?? []);
  for (const i of outputs) builder.output(made[i] as Value, 'float32', made[i]?.shape ?? []);
  addBnnFunctions(builder.model);
  return builder.model;
}
