import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import { Program, type RunSettings } from '../../../src/training/program/program.ts';
import { type Build, createModel, INPUT_SHAPE, random, SETTINGS } from './operator-cases.ts';

beforeAll(() => tf.setBackend('cpu'));

const RATIO = 0.25;
const RANDOM: RunSettings = { ...SETTINGS, randomness: [1, 2, 3] };
const twoMasks: Build = ({ x, op, number }) =>
  op('Concat', [op('Dropout', [x, number(RATIO)]), op('Dropout', [x, number(RATIO)])], {
    axis: { kind: 'int', value: 1 },
  });

/** Output and gradients of a training pass whose loss is the sum of the outputs. */
function pass(build: Build, settings: RunSettings) {
  const program = new Program(createModel(build), { explicitPadding: true });
  const x = tf.transpose(tf.tensor4d(random(9, ...INPUT_SHAPE).data, [...INPUT_SHAPE]), [0, 2, 3, 1]);
  const { loss: y, gradients } = program.differentiate(x, settings, (logits) => ({
    loss: logits.dataSync().slice() as Float32Array,
    dlogits: tf.onesLike(logits),
  }));
  return {
    y,
    gradient: gradients.get('first')!.dataSync() as Float32Array,
    plain: program.infer(x, settings).dataSync() as Float32Array,
  };
}

it('zeroes about the given share, scales the rest, and lets the gradient through the same elements', () => {
  const { y, plain } = pass(twoMasks, RANDOM);
  const dropped = y.filter((value) => value === 0).length / y.length;
  // Of 576 draws the share has a standard deviation of 0.018.
  expect(Math.abs(dropped - RATIO)).toBeLessThan(0.08);
  for (const [i, value] of y.entries()) if (value !== 0) expect(value).toBeCloseTo(plain[i]! / (1 - RATIO), 5);
  const half = y.length / 4;
  expect([...y.subarray(0, half)].map((v) => v === 0)).not.toEqual([...y.subarray(half, 2 * half)].map((v) => v === 0));
});

it('draws from what the pass is given: the same masks again, others in another batch, none without', () => {
  const first = pass(twoMasks, RANDOM);
  expect(pass(twoMasks, RANDOM)).toEqual(first);
  expect(pass(twoMasks, { ...RANDOM, randomness: [1, 2, 4] }).y).not.toEqual(first.y);
  expect(pass(twoMasks, SETTINGS).y).toEqual(first.plain);
});

it('has the gradient of the masked function', () => {
  const build: Build = ({ x, op, number }) => op('Dropout', [x, number(RATIO)]);
  // The network is linear in its weights: Σ y = Σ w · dw.
  const { y, gradient } = pass(build, RANDOM);
  const weights = random(1, 4, 3, 1, 1).data;
  // HWIO inside: [1, 1, 3, 4].
  const product = gradient.reduce((sum, g, i) => sum + g * weights[(i % 4) * 3 + Math.floor(i / 4)]!, 0);
  expect(product).toBeCloseTo(
    y.reduce((a, b) => a + b, 0),
    3,
  );
});
