/** One weight that several layers use is stored once and counted once, in the latent file, in the packed one and in tables. */

import { describe, expect, it } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { maxAbsoluteError } from '../../src/core/numbers/tolerance.ts';
import { ints } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { addBnnFunctions } from '../../src/operators/registry.ts';
import { summarizeModel } from '../../src/tasks/model-summary.ts';
import { Source, withZeros } from './build.ts';
import { sign } from './check-case.ts';
import { createRun } from './run-model.ts';

const SHAPE = [2, 16, 6, 6];
const PADS = { pads: ints([1, 1, 1, 1]) };

/** Two branches with the same latent weights, from one initializer or from two equal ones; then a sum. */
function siamese(copies: 1 | 2, scale = 1): Model {
  const s = new Source(SHAPE);
  const weights = s.normals([16, 16, 3, 3]);
  const [first, second] = [s.c(weights), copies === 2 ? s.c({ ...weights, data: weights.data.slice() }) : null];
  const layer = (x: Value, w: Value): Value => s.op('Mul', [s.op('Conv', [sign(s, x), sign(s, w)], PADS), s.c(scale)]);
  const left = layer(s.x, first);
  const right = layer(s.op('Sub', [s.x, s.c(0.25)]), second ?? first);
  return s.finish(s.op('Add', [left, right]));
}

/** An unrolled recurrence: the same dense weights at every step. */
function unrolled(steps: number): Model {
  const s = new Source([4, 32]);
  const w = s.c(s.normals([32, 32]));
  let y: Value = s.x;
  for (let step = 0; step < steps; step++) y = s.op('MatMul', [sign(s, y), sign(s, w)]);
  return s.finish(y);
}

const bytesOf = (model: Model): number =>
  [...model.graph.constants()].reduce((sum, { constant }) => sum + constant.data.byteLength, 0);

async function expectSame(source: Model, forms: readonly Model[], shape: readonly number[]): Promise<void> {
  const x = withZeros(shape.reduce((product, size) => product * size, 1));
  const expected = await (await createRun(source))(x, shape);
  for (const form of forms) expect(maxAbsoluteError(await (await createRun(form))(x, shape), expected)).toBe(0);
}

describe('shared weights', () => {
  it.each([1, 2] as const)('of two branches, %i times in the source', async (copies) => {
    const { model, lowered, report } = convertOnnx(siamese(copies));
    const constants = [...model.graph.constants()].filter(({ constant }) => constant.data.length === 16 * 16 * 9);
    expect(constants).toHaveLength(1);
    // Bits, scale and bias once, and the two thresholds' numbers.
    expect(bytesOf(lowered.model)).toBeLessThan(288 + 128 + 128);
    expect(report.layers.map(({ kind, bytesBefore, sharedWith }) => [kind, bytesBefore, sharedWith !== null])).toEqual([
      ['binary', 9216, false],
      ['binary', 0, true],
    ]);
    expect(summarizeModel(model)).toMatchObject({ oneBitParameters: 2304 });
    expect(summarizeModel(siamese(copies))).toMatchObject({ oneBitParameters: 2304 });
    await expectSame(siamese(copies), [model, lowered.model], SHAPE);
  });

  it('of all steps of a recurrence', async () => {
    const one = convertOnnx(unrolled(1));
    const eight = convertOnnx(unrolled(8));
    expect(bytesOf(eight.model)).toBe(bytesOf(one.model));
    expect(summarizeModel(eight.model)).toMatchObject({ oneBitParameters: 1024 });
    expect(eight.lowered.report.sizes.idealBits).toBeLessThanOrEqual(2 * one.lowered.report.sizes.idealBits);
    // The last layer alone gives numbers instead of signs.
    expect(bytesOf(eight.lowered.model)).toBeLessThanOrEqual(bytesOf(one.lowered.model) + 2 * 4 * 32 + 128);
    await expectSame(unrolled(8), [eight.model, eight.lowered.model], [4, 32]);
  });
});

describe('what is equal by chance', () => {
  const fresh = (): Model => {
    const s = new Source(SHAPE);
    s.builder.model.opsets.set('bnn', 1);
    let y: Value = s.x;
    for (const value of [1, 1]) {
      const filled = (x: number) => s.c({ ...s.normals([16]), data: new Float32Array(16).fill(x) });
      y = s.op('Conv', [s.op('bnn.Sign', [y]), s.op('bnn.Sign', [s.c(s.normals([16, 16, 3, 3]))])], PADS);
      y = s.op('BatchNormalization', [y, filled(value), filled(0), filled(0), filled(1)]);
    }
    const model = s.finish(y);
    addBnnFunctions(model);
    return model;
  };

  it('the normalizations of a fresh network are parameters of their own', () => {
    expect(summarizeModel(fresh())).toMatchObject({ floatParameters: 64, oneBitParameters: 2 * 2304 });
    expect(summarizeModel(convertOnnx(fresh()).model)).toMatchObject({ floatParameters: 64 });
    expect([...lowerToPacked(fresh()).model.graph.constants()].length).toBeGreaterThan(4);
  });
});
