import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { registerCpuBackend } from '../../../src/backends/cpu/register.ts';
import { registerNativeBackend } from '../../../src/backends/native/register.ts';
import { openWasm } from '../../../src/backends/wasm/open.ts';
import { Rng } from '../../../src/core/numbers/rng.ts';
import { int, ints, string } from '../../../src/graph/attribute.ts';
import { Program } from '../../../src/training/program/program.ts';
import { CONV_CASES } from './conv-cases.ts';
import {
  type Build,
  CASES,
  type ConvCase,
  convNetwork,
  createModel,
  INPUT_SHAPE,
  random,
  SETTINGS,
} from './operator-cases.ts';

const registration = registerNativeBackend();
openWasm();
registerCpuBackend();

/** Compares the gradient of Σ c·y, for random c, with difference quotients, at some elements of every parameter. */
async function checkGradients(build: Build, explicitPadding: boolean): Promise<void> {
  const program = new Program(createModel(build), { explicitPadding });
  const x = tf.tidy(() => tf.transpose(tf.tensor4d(random(99, ...INPUT_SHAPE).data, [...INPUT_SHAPE]), [0, 2, 3, 1]));
  let weights: Float32Array | null = null;
  const pass = () =>
    program.differentiate(x, SETTINGS, (y) => {
      weights ??= random(7, y.size).data;
      const data = y.dataSync() as Float32Array;
      const loss = data.reduce((sum, value, i) => sum + value * weights![i]!, 0);
      const dlogits = tf.tensor(weights, y.shape);
      return { loss, dlogits };
    });
  const { gradients } = pass();
  const rng = new Rng(5);
  for (const info of program.parameters.values()) {
    if (info.role === 'buffer') continue;
    const gradient = gradients.get(info.name)!.dataSync();
    const original = (await program.parameter(info.name).data()).slice() as Float32Array;
    for (let trial = 0; trial < 4; trial++) {
      const at = rng.below(original.length);
      const step = 1e-3;
      const lossAt = (delta: number) => {
        const moved = original.slice();
        moved[at]! += delta;
        program.setParameter(info.name, tf.tensor(moved, program.parameter(info.name).shape));
        const { loss, gradients: unused } = pass();
        tf.dispose([...unused.values()]);
        return loss;
      };
      const difference = (lossAt(step) - lossAt(-step)) / (2 * step);
      program.setParameter(info.name, tf.tensor(original.slice(), program.parameter(info.name).shape));
      expect(Math.abs(gradient[at]! - difference), `${info.name}[${at}]`).toBeLessThan(
        0.02 * Math.max(1, Math.abs(difference)),
      );
    }
  }
  tf.dispose([x, ...gradients.values()]);
  program.dispose();
}

describe.each([
  ['cpu', 'explicit padding', true],
  ['cpu', 'padding beforehand, for backends that know only VALID and SAME', false],
  ['native', 'explicit padding', true],
  ['wasm', 'explicit padding', true],
])('gradients on %s with %s equal difference quotients', (backend, _, explicitPadding) => {
  const skip = backend === 'native' && !registration.ok;
  beforeAll(async () => {
    if (!skip) await tf.setBackend(backend);
  });
  const reason = skip ? ` (skipped: ${registration.reason})` : '';

  it.skipIf(skip).each(Object.entries(CASES))(`%s${reason}`, (__, build) => checkGradients(build, explicitPadding));

  it.skipIf(skip)(
    `Conv of any shape${reason}`,
    () =>
      fc.assert(
        fc.asyncProperty(CONV_CASES, (c: ConvCase) => checkGradients(convNetwork(c), explicitPadding)),
        { numRuns: 25, seed: 3 },
      ),
    60_000,
  );
});

it('leaves no tensor behind', async () => {
  await tf.setBackend('cpu');
  const before = tf.memory().numTensors;
  for (const build of Object.values(CASES)) await checkGradients(build, true);
  expect(tf.memory().numTensors).toBe(before);
});

it('names what cannot be trained', () => {
  const build = (b: Build) => () => new Program(createModel(b), { explicitPadding: true });
  expect(build(({ x, op }) => op('LRN', [x], { size: int(3) }))).toThrow('training does not know the operator LRN');
  expect(build(({ x, op }) => op('MaxPool', [x], { kernel_shape: ints([2, 2]), dilations: ints([2, 2]) }))).toThrow(
    'cannot train MaxPool: dilations',
  );
  expect(
    build(({ x, op, ints: list }) => op('Pad', [x, list(0, 0, 1, 1, 0, 0, 1, 1)], { mode: string('edge') })),
  ).toThrow('cannot train Pad: mode "edge"');
});
