import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { registerNativeBackend } from '../../../src/backends/native/register.ts';
import { int, ints } from '../../../src/graph/attribute.ts';
import { encodeModel } from '../../../src/onnx/encode-model.ts';
import { Program } from '../../../src/training/program/program.ts';
import { CONV_CASES } from './conv-cases.ts';
import { type Build, CASES, convNetwork, createModel, INPUT_SHAPE, random, SETTINGS } from './operator-cases.ts';

const SLOW = 60_000;
const registration = registerNativeBackend();

/** Runs a network in the trainer and in stock onnxruntime. */
async function checkForward(build: Build, explicitPadding: boolean): Promise<void> {
  const model = createModel(build);
  const images = random(99, ...INPUT_SHAPE).data;
  const session = await InferenceSession.create(encodeModel(model), { logSeverityLevel: 3, intraOpNumThreads: 1 });
  const { name } = model.graph.outputs[0]!;
  const expected = (await session.run({ x: new Tensor('float32', images, [...INPUT_SHAPE]) }))[name]!;
  await session.release();
  const program = new Program(model, { explicitPadding });
  const x = tf.tidy(() => tf.transpose(tf.tensor4d(images, [...INPUT_SHAPE]), [0, 2, 3, 1]));
  const y = program.infer(x, SETTINGS);
  expect(y.shape).toEqual(expected.dims);
  const found = y.dataSync();
  for (const [i, value] of (expected.data as Float32Array).entries()) {
    expect(Math.abs(found[i]! - value), `element ${i}`).toBeLessThan(2e-5 * Math.max(1, Math.abs(value)));
  }
  tf.dispose([x, y]);
  program.dispose();
}

const sizes = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }));
const POOLS = fc
  .record({
    type: fc.constantFrom('MaxPool', 'AveragePool'),
    kernel: sizes,
    strides: sizes,
    pads: fc.tuple(...([0, 0, 0, 0] as const).map(() => fc.integer({ min: 0, max: 3 }))),
    ceil: fc.boolean(),
    includes: fc.boolean(),
  })
  // onnxruntime refuses padding of a whole window.
  .filter(({ kernel, pads }) => pads.every((pad, i) => pad < kernel[(i % 2) as 0 | 1]));

describe.each([
  ['cpu', true],
  ['cpu', false],
  ['native', true],
])('the forward pass on %s (explicit padding: %s) is that of onnxruntime', (backend, explicitPadding) => {
  const skip = backend === 'native' && !registration.ok;
  const reason = skip ? ` (skipped: ${registration.reason})` : '';
  beforeAll(async () => {
    if (!skip) await tf.setBackend(backend);
  });

  it.skipIf(skip).each(Object.entries(CASES))(`%s${reason}`, (_, build) => checkForward(build, explicitPadding));

  it.skipIf(skip)(
    `Conv of any shape${reason}`,
    () =>
      fc.assert(
        fc.asyncProperty(CONV_CASES, (c) => checkForward(convNetwork(c), explicitPadding)),
        { numRuns: 100, seed: 1 },
      ),
    SLOW,
  );

  it.skipIf(skip)(
    `pooling of any shape${reason}`,
    () =>
      fc.assert(
        fc.asyncProperty(POOLS, ({ type, kernel, strides, pads, ceil, includes }) =>
          checkForward(
            ({ x, op }) =>
              op(type, [x], {
                kernel_shape: ints(kernel),
                strides: ints(strides),
                pads: ints(pads),
                ceil_mode: int(Number(ceil)),
                ...(type === 'AveragePool' ? { count_include_pad: int(Number(includes)) } : {}),
              }),
            explicitPadding,
          ),
        ),
        { numRuns: 100, seed: 2 },
      ),
    SLOW,
  );
});
