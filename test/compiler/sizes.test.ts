/** Sizes of packed models: by hand, and against the memory of real sessions. */

import { describe, expect, it, test } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { int, ints } from '../../src/graph/attribute.ts';
import { Builder } from '../../src/graph/builder.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { measureSessions } from '../../src/inference/measure-sessions-io.ts';
import { addBnnFunctions } from '../../src/operators/registry.ts';
import { missingAddon, missingOps } from '../inference/native-parts.ts';

class Net {
  readonly #builder = new Builder('net');
  readonly #rng = new Rng(3);
  #x: Value;

  constructor(shape: readonly number[]) {
    this.#x = this.#builder.input('x', 'float32', [...shape]);
  }

  layer(kind: 'binary' | 'weight-only' | 'float', shape: readonly number[], group = 1): this {
    const count = shape.reduce((product, size) => product * size, 1);
    const latent = this.#builder.constant(
      'w',
      float32(
        shape,
        Float32Array.from({ length: count }, () => this.#rng.normal()),
      ),
    );
    const sign = (value: Value) => this.#builder.op('bnn.Sign', [value]);
    const inputs = [kind === 'binary' ? sign(this.#x) : this.#x, kind === 'float' ? latent : sign(latent)];
    const attributes = { kernel_shape: ints(shape.slice(2)), pads: ints([1, 1, 1, 1]), group: int(group) };
    this.#x =
      shape.length === 2
        ? this.#builder.op('Gemm', inputs, { transB: int(1) })
        : this.#builder.op('Conv', inputs, attributes);
    return this;
  }

  finish(): Model {
    this.#builder.output(this.#x, 'float32', [null, null]);
    addBnnFunctions(this.#builder.model);
    return this.#builder.model;
  }
}

describe('by hand', () => {
  // Every packed layer has scale and bias besides: 2 · 32 bits and 8 bytes per output.
  test.each([
    // 5·9 bits, of 6 outputs: 2 words, so 4 with padding, and these twice; 8 outputs in whole tiles; 9 tap sums each, and scale and bias.
    ['binary', [6, 5, 3, 3], 1, [6 * 45 + 384, 6 * 9 + 48, 4 * 270 + 48, 6 * 9 + 48 + 4 * 8 * (2 * 4 + 9 + 2)]],
    // Depthwise: each of 6 groups has one output, which takes a tile of 4.
    ['binary', [6, 1, 3, 3], 6, [54 + 384, 54 + 48, 4 * 54 + 48, 54 + 48 + 4 * 24 * (2 * 4 + 9 + 2)]],
    // Unpacked there as well.
    ['weight-only', [6, 5, 3, 3], 1, [270 + 384, 54 + 48, 4 * 270 + 48, 54 + 48 + 4 * 8 * 45 + 48]],
    // 3×3 neighbours of 16 channels and more are transformed: 16 bytes for 9 weights, 20 outputs in whole tiles.
    [
      'weight-only',
      [18, 17, 3, 3],
      1,
      [18 * 153 + 64 * 18, 18 * 27 + 144, 4 * 2754 + 144, 18 * 27 + 144 + 16 * 20 * 17 + 144],
    ],
    ['float', [6, 5, 3, 3], 1, [32 * 270, 4 * 270, 4 * 270, 4 * 270]],
  ] as const)('%s %j, %i groups', (kind, shape, group, [idealBits, fileBytes, stockBytes, opsBytes]) => {
    const { report } = lowerToPacked(new Net([1, shape[1] * group, 4, 4]).layer(kind, shape, group).finish());
    expect(report.layers[0]).toMatchObject({
      outcome: kind,
      bytesBefore: 4 * [...shape].reduce((a: number, b) => a * b, 1),
    });
    expect(report.layers[0]!.sizes).toEqual({ idealBits, fileBytes, stockBytes, opsBytes });
    expect(report.sizes).toEqual(report.layers[0]!.sizes);
  });

  it('dense layers have one tap, and floats come in rows of 64', () => {
    const [binary, weightOnly] = (['binary', 'weight-only'] as const).map(
      (kind) => lowerToPacked(new Net([1, 130]).layer(kind, [10, 130]).finish()).report.sizes,
    );
    const fileBytes = 10 * 17 + 80;
    // 130 bits are 5 words, 8 with padding, and these twice; 12 outputs in whole tiles.
    expect(binary).toMatchObject({ fileBytes, stockBytes: 5200 + 80, opsBytes: fileBytes + 4 * 12 * (8 + 1 + 2) });
    expect(weightOnly).toMatchObject({ fileBytes, opsBytes: fileBytes + 4 * 64 * 130 + 80 });
  });
});

const missing = missingAddon ?? missingOps ?? (process.platform === 'linux' ? undefined : 'Linux only');

describe.skipIf(missing !== undefined)(
  `against sessions${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  { timeout: 60_000 },
  () => {
    /** Besides constants, a session has activations, scratch memory, plans and what malloc and the allocator of onnxruntime round up. */
    const margin = (bytes: number) => 0.04 * bytes + 1.5e6;

    it.each([
      ['binary', [1, 768, 4, 4], [768, 768, 3, 3]],
      ['weight-only', [1, 768, 4, 4], [768, 768, 3, 3]],
      ['binary', [1, 4096], [4096, 4096]],
    ] as const)('%s layers of %j', async (kind, input, weights) => {
      const { model, report } = lowerToPacked(new Net(input).layer(kind, weights).finish());
      const measured = await measureSessions(model);
      const { stockBytes, opsBytes } = report.sizes;
      expect(Math.abs(measured!.stockBytes - stockBytes)).toBeLessThan(margin(stockBytes));
      expect(Math.abs(measured!.opsBytes! - opsBytes)).toBeLessThan(margin(opsBytes));
      expect(measured!.opsBytes! - opsBytes).toBeGreaterThan(-0.04 * opsBytes);
    });
  },
);
