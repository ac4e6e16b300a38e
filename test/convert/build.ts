/** Small foreign models, as exporters write them. */

import { Rng } from '../../src/core/numbers/rng.ts';
import { float32, type Tensor } from '../../src/core/tensors/tensor.ts';
import type { Shape, Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { Network } from '../models/network.ts';

/** A model of one float input. */
export class Source extends Network {
  readonly x: Value;

  constructor(shape: Shape, opset = 17, seed = 1) {
    super('main', seed);
    this.builder.model.opsets.set('', opset);
    this.x = this.builder.input('x', 'float32', shape);
  }

  /** ±s, one s for each output (or a single one). */
  signs(shape: readonly number[], scale: readonly number[] = [1]): Tensor<'float32'> {
    const t = this.normals(shape);
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
