/** Small networks of random numbers: what every test that builds a model writes it with. */

import { Rng } from '../../src/core/numbers/rng.ts';
import { elementCount } from '../../src/core/tensors/shape.ts';
import { float32, int64s, scalar, type Tensor } from '../../src/core/tensors/tensor.ts';
import type { Attributes } from '../../src/graph/attribute.ts';
import { Builder } from '../../src/graph/builder.ts';
import type { Value } from '../../src/graph/graph.ts';

/** mean + spread · normal numbers, in row-major order. */
export function normals(rng: Rng, shape: readonly number[], spread = 1, mean = 0): Tensor<'float32'> {
  return float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, () => mean + spread * rng.normal()),
  );
}

/** As short as the patterns that are written with it. */
export class Network {
  readonly rng: Rng;
  readonly builder: Builder;

  constructor(name: string, seed = 1) {
    this.builder = new Builder(name);
    this.rng = new Rng(seed);
  }

  normals(shape: readonly number[], spread = 1, mean = 0): Tensor<'float32'> {
    return normals(this.rng, shape, spread, mean);
  }

  /** A constant. */
  c(value: number | Tensor): Value {
    return this.builder.constant('c', typeof value === 'number' ? scalar(value) : value);
  }

  ints(values: readonly number[]): Value {
    return this.c(int64s(values));
  }

  /** A constant of normal numbers. */
  random(shape: readonly number[], spread = 1): Value {
    return this.c(this.normals(shape, spread));
  }

  op(type: string, inputs: readonly (Value | null)[], attributes: Attributes = {}, name = ''): Value {
    return this.builder.op(type, inputs, attributes, name);
  }
}
