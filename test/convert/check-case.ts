/** Converts what a test builds: source, latent and packed form in a stock onnxruntime, and the verdicts. */

import { expect } from 'vitest';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { maxAbsoluteError } from '../../src/core/numbers/tolerance.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { verify } from '../../src/graph/verify.ts';
import { Source, withZeros } from './build.ts';
import { createRun } from './run-model.ts';

export interface Case {
  readonly shape: readonly number[];
  readonly build: (s: Source) => Value;
  /** Kind of each layer; `binary` alone unless told. */
  readonly kinds?: readonly string[];
  readonly opset?: number;
  /** For sources whose values are not small. */
  readonly tolerance?: number;
}

export async function check({ shape, build, kinds = ['binary'], opset = 17, tolerance = 2e-5 }: Case): Promise<Model> {
  const s = new Source(shape, opset);
  const source = s.finish(build(s));
  const { model, lowered, report } = convertOnnx(source);
  verify(model);
  verify(lowered.model);
  expect(
    report.layers.map(({ kind, reason }) => (kind === 'binary' ? kind : `${kind}${reason === '' ? '!' : ''}`)),
  ).toEqual(kinds);
  const count = shape.reduce((product, size) => product * size, 1);
  const x = withZeros(count);
  const expected = await (await createRun(source))(x, shape);
  expect(maxAbsoluteError(await (await createRun(model))(x, shape), expected)).toBeLessThanOrEqual(tolerance);
  expect(maxAbsoluteError(await (await createRun(lowered.model))(x, shape), expected)).toBeLessThanOrEqual(tolerance);
  return lowered.model;
}

/** +1 at 0. */
export const sign = (s: Source, x: Value): Value =>
  s.op('Where', [s.op('GreaterOrEqual', [x, s.c(0)]), s.c(1), s.c(-1)]);
