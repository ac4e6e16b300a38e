/** Small foreign models, as exporters write them. */

import { Rng } from '../../src/core/rng.ts';
import { float32, int64s, scalar, type Tensor } from '../../src/core/tensor.ts';
import type { Attributes } from '../../src/graph/attribute.ts';
import { Builder } from '../../src/graph/builder.ts';
import type { Shape, Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';

/** Builds one model; `c` and `op` are as short as the patterns they write. */
export class Source {
  readonly builder = new Builder('main');
  readonly x: Value;
  readonly #rng: Rng;

  constructor(shape: Shape, opset = 17, seed = 1) {
    this.builder.model.opsets.set('', opset);
    this.x = this.builder.input('x', 'float32', shape);
    this.#rng = new Rng(seed);
  }

  c(value: number | Tensor): Value {
    return this.builder.constant('c', typeof value === 'number' ? scalar(value) : value);
  }

  ints(values: readonly number[]): Value {
    return this.c(int64s(values));
  }

  op(type: string, inputs: readonly (Value | null)[], attributes: Attributes = {}, name = ''): Value {
    return this.builder.op(type, inputs, attributes, name);
  }

  normal(shape: readonly number[]): Tensor<'float32'> {
    const count = shape.reduce((product, size) => product * size, 1);
    return float32(
      shape,
      Array.from({ length: count }, () => this.#rng.normal()),
    );
  }

  /** ±s, one s for each output (or a single one). */
  signs(shape: readonly number[], scale: readonly number[] = [1]): Tensor<'float32'> {
    const t = this.normal(shape);
    const perOutput = t.data.length / shape[0]!;
    return float32(
      shape,
      Array.from(t.data, (w, i) => (w >= 0 ? 1 : -1) * scale[Math.floor(i / perOutput) % scale.length]!),
    );
  }

  finish(y: Value): Model {
    this.builder.output(y, 'float32', null as unknown as Shape);
    y.shape = null;
    return this.builder.model;
  }
}

/** Normal numbers with many exact zeros of both signs, which is where binarizations differ. */
export function withZeros(count: number, seed = 7): Float32Array {
  const rng = new Rng(seed);
  return Float32Array.from({ length: count }, (_, i) => (i % 5 === 0 ? 0 : i % 5 === 1 ? -0 : rng.normal()));
}
