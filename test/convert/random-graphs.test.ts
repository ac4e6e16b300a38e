/** Random networks of everything that is rewritten, against themselves before the conversion in a stock onnxruntime. */

import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import { maxAbsoluteError } from '../../src/core/numbers/tolerance.ts';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { int, ints, string } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { verify } from '../../src/graph/verify.ts';
import { Source, withZeros } from './build.ts';
import { createRun } from './run-model.ts';

const NETWORKS = 60;
const SHAPE = [2, 4, 6, 6];

class Generator {
  readonly #s: Source;
  readonly #rng: Rng;

  constructor(seed: number) {
    this.#s = new Source(SHAPE, 17, seed);
    this.#rng = new Rng(seed, 99);
  }

  model(): Model {
    let [x, channels] = [this.#s.x, 4];
    for (let n = 1 + this.#rng.below(3); n > 0; n--) {
      // Multiples of a quarter: sums stay exact in float32, so that signs cannot differ by rounding.
      x = this.#decorate(this.#pick([() => x, () => this.#affine(x, channels), () => this.#shuffle(x)]));
      const to = 2 + this.#rng.below(4);
      x = this.#layer(this.#scaled(this.#step(x), channels), channels, to);
      channels = to;
    }
    return this.#s.finish(x);
  }

  #pick<T>(choices: readonly (() => T)[]): T {
    return choices[this.#rng.below(choices.length)]!();
  }

  #number(): Value {
    return this.#s.c((this.#rng.below(17) - 8) / 4);
  }

  #affine(x: Value, channels: number): Value {
    const values = (offset: number) =>
      float32(
        [channels, 1, 1],
        Array.from({ length: channels }, () => (this.#rng.below(9) + offset) / 4),
      );
    return this.#s.op('Add', [this.#s.op('Mul', [x, this.#s.c(values(1))]), this.#s.c(values(-4))]);
  }

  /** There and back, or with an operator between. */
  #shuffle(x: Value): Value {
    const s = this.#s;
    const last = s.op('Transpose', [x], { perm: ints([0, 2, 3, 1]) });
    const inner = this.#pick([() => last, () => s.op('Neg', [last]), () => s.op('Add', [last, this.#number()])]);
    return s.op('Transpose', [inner], { perm: ints([0, 3, 1, 2]) });
  }

  #decorate(x: Value): Value {
    const s = this.#s;
    return this.#pick([
      () => x,
      () => s.op('Clip', [x, s.c(-2), s.c(2)]),
      () => s.op('Identity', [x]),
      () => s.op('MaxPool', [x], { kernel_shape: ints([2, 2]), pads: ints([0, 0, 1, 1]) }),
      () => s.op('Pad', [x, s.ints([0, 0, 1, 0, 0, 0, 0, 1]), this.#number()]),
    ]);
  }

  /** A random function of signs and comparisons, of two values or three. */
  #step(x: Value): Value {
    const s = this.#s;
    const cast = (value: Value) => s.op('Cast', [value], { to: int(1) });
    const compare = (value: Value, c: Value) =>
      this.#pick(
        ['Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'].map(
          (op) => () => (this.#rng.below(2) === 0 ? s.op(op, [value, c]) : s.op(op, [c, value])),
        ),
      );
    let y = this.#pick([
      () => s.op('Sign', [x]),
      () => cast(compare(x, this.#number())),
      () => s.op('Where', [compare(x, s.c(0)), s.c(1), s.c(-1)]),
      () => s.op('Where', [s.op('Not', [compare(x, this.#number())]), this.#number(), this.#number()]),
    ]);
    for (let n = this.#rng.below(4); n > 0; n--) {
      const inner = y;
      y = this.#pick([
        () => s.op('Add', [inner, this.#number()]),
        () => s.op('Sub', [this.#number(), inner]),
        () => s.op('Mul', [inner, this.#number()]),
        () => s.op('Neg', [inner]),
        () => s.op('Sign', [inner]),
        () => s.op('Abs', [inner]),
        () => cast(compare(inner, this.#number())),
        () => s.op('Where', [compare(inner, s.c(0)), s.c(1), s.c(-1)]),
        () => s.op('Max', [inner, this.#number()]),
      ]);
    }
    return y;
  }

  /** As it is, or with factors or a border that may or may not leave the sums of the layer. */
  #scaled(x: Value, channels: number): Value {
    const s = this.#s;
    const quarters = (shape: readonly number[], count: number) =>
      s.c(
        float32(
          shape,
          Array.from({ length: count }, () => (this.#rng.below(7) - 3) / 4),
        ),
      );
    const largest = () => s.op('ReduceMax', [s.op('Abs', [x])], { axes: ints([1, 2, 3]), keepdims: int(1) });
    return this.#pick([
      () => x,
      () => x,
      () => s.op('Mul', [x, largest()]),
      () => s.op('Mul', [quarters([channels, 1, 1], channels), x]),
      () => s.op('Mul', [x, quarters([2, 1, 1, 1], 2)]),
      () => s.op('Pad', [x, s.ints([0, 0, 1, 0, 0, 0, 1, 1])], { mode: string('reflect') }),
    ]);
  }

  #layer(x: Value, from: number, to: number): Value {
    const s = this.#s;
    const group = this.#pick([() => 1, () => (from === to ? from : 1), () => (from % 2 === 0 && to % 2 === 0 ? 2 : 1)]);
    const shape = [to, from / group, 3, 3];
    const scale = [0.5, 1, 2, 0.25].slice(0, 1 + this.#rng.below(4));
    const w = this.#pick([
      () => s.c(s.signs(shape, scale)),
      () => s.op('Sign', [s.c(s.normals(shape))]),
      () => s.op('Mul', [s.op('Sign', [s.c(s.normals(shape))]), s.c(0.5)]),
    ]);
    const bias = float32(
      [to],
      Array.from({ length: to }, () => (this.#rng.below(9) - 4) / 4),
    );
    const pad = this.#rng.below(2) === 0 ? 1 : 0;
    const padded = pad === 0 ? s.op('Pad', [x, s.ints([0, 0, 1, 1, 0, 0, 1, 1]), s.c(this.#rng.below(3) - 1)]) : x;
    return s.op('Conv', [padded, w, ...(this.#rng.below(2) === 0 ? [s.c(bias)] : [])], {
      kernel_shape: ints([3, 3]),
      pads: ints([pad, pad, pad, pad]),
      group: int(group),
    });
  }
}

describe('random networks', () => {
  it.each(Array.from({ length: NETWORKS }, (_, seed) => seed))('seed %i', async (seed) => {
    const source = new Generator(seed).model();
    const { model, lowered } = convertOnnx(source);
    verify(model);
    verify(lowered.model);
    const x = withZeros(
      SHAPE.reduce((product, size) => product * size, 1),
      seed,
    ).map((v) => Math.round(4 * v) / 4);
    const expected = await (await createRun(source))(x, SHAPE);
    const scale = expected.reduce((largest, y) => Math.max(largest, Math.abs(y)), 1);
    for (const form of [model, lowered.model]) {
      expect(maxAbsoluteError(await (await createRun(form))(x, SHAPE), expected) / scale).toBeLessThan(1e-6);
    }
  });
});
