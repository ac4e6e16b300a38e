/** Training steps that multiply in bfloat16. */

import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { namesWith } from '../../../src/backends/backends.ts';
import { precisionOf } from '../../../src/backends/precision.ts';
import { createReste } from '../../../src/estimators/reste.ts';
import type { TrainingPrecision } from '../../../src/kernels/convolution.ts';
import { softmaxCrossEntropy } from '../../../src/training/learning/loss.ts';
import { Program } from '../../../src/training/program/program.ts';
import { buildModel } from '../../../src/zoo/zoo.ts';
import { describeNative, native, random, randomSigns, run, setThreads } from './harness.ts';

const BATCH = 8;

/** Loss and gradients of the first step. */
async function step(network: string, precision: TrainingPrecision): Promise<ReadonlyMap<string, Float32Array>> {
  await tf.setBackend('native');
  const program = new Program(buildModel(network, { seed: 1 }), { explicitPadding: true, precision });
  const { values } = random([BATCH, 32, 32, 3], 3);
  const x = tf.tensor(values, [BATCH, 32, 32, 3]);
  const labels = tf.tensor1d([0, 1, 2, 3, 4, 5, 6, 7], 'int32');
  const reste = createReste(2);
  const settings = { weightEstimator: reste, activationEstimator: reste };
  const { loss, gradients } = program.differentiate(x, settings, (logits) => {
    const result = softmaxCrossEntropy(logits, labels, 0);
    return { loss: result, dlogits: result.dlogits };
  });
  const read = new Map([['loss', Float32Array.from(await loss.loss.data())]]);
  for (const [name, gradient] of gradients) read.set(name, Float32Array.from(await gradient.data()));
  tf.dispose([x, labels, loss.loss, loss.correct, ...gradients.values()]);
  program.dispose();
  return read;
}

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (p: Float32Array, q: Float32Array) => p.reduce((sum, value, i) => sum + value * (q[i] ?? Number.NaN), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

describeNative('gradients in bfloat16', () => {
  it.each(['resnet20', 'resnet20-1w32a'])(
    'of %s point where those in float32 do, in every layer',
    async (network) => {
      const [exact, rounded] = [await step(network, 'float32'), await step(network, 'bf16')];
      expect(rounded.get('loss')).toEqual(exact.get('loss'));
      expect(rounded.size).toBe(exact.size);
      let different = 0;
      for (const [name, gradient] of rounded) {
        const expected = exact.get(name)!;
        if (!gradient.every((value, i) => value === expected[i])) different++;
        if (Math.hypot(...expected) > 1e-6) expect(cosine(gradient, expected), name).toBeGreaterThanOrEqual(0.999);
      }
      expect(different).toBeGreaterThan(18);
    },
    60_000,
  );

  it('bf16-all rounds float activations of the forward pass in training alone', async () => {
    const pass = async (network: string, precision: TrainingPrecision, training: boolean) => {
      await tf.setBackend('native');
      const program = new Program(buildModel(network, { seed: 1 }), { explicitPadding: true, precision });
      const x = tf.tensor(random([2, 32, 32, 3], 3).values, [2, 32, 32, 3]);
      const reste = createReste(2);
      const settings = { weightEstimator: reste, activationEstimator: reste };
      const y = training
        ? program.differentiate(x, settings, (found) => ({ loss: tf.clone(found), dlogits: tf.zerosLike(found) })).loss
        : program.infer(x, settings);
      const values = Float32Array.from(await y.data());
      tf.dispose([x, y]);
      program.dispose();
      return values;
    };
    for (const training of [true, false]) {
      const exact = await pass('resnet20-1w32a', 'float32', training);
      const rounded = await pass('resnet20-1w32a', 'bf16-all', training);
      expect(await pass('resnet20-1w32a', 'bf16', training)).toEqual(exact);
      if (!training) expect(rounded).toEqual(exact);
      else {
        expect(rounded).not.toEqual(exact);
        expect(cosine(rounded, exact)).toBeGreaterThan(0.999);
      }
    }
    // Signs are exact in 8 bits.
    expect(await pass('resnet20', 'bf16-all', true)).toEqual(await pass('resnet20', 'float32', true));
  });

  it('have the same bits every time on two threads', async () => {
    setThreads(2);
    const [first, second] = [await step('resnet20', 'bf16'), await step('resnet20', 'bf16')];
    setThreads(1);
    expect(first).toEqual(second);
  }, 60_000);

  it('of a binary convolution are within a 256th of what is added up', async () => {
    const attributes = { strides: [2, 2], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1], precision: 'bf16' };
    const [x, dy, filter] = [random([2, 9, 7, 16], 1), random([2, 5, 4, 24], 2), randomSigns([3, 3, 16, 24], 3)];
    const estimator = { estimator: 'ste', clip: 10 };
    const inputGrad = { ...attributes, ...estimator };
    const [dx] = await run('native', 'BnnBinaryConvInputGrad', { dy, filter, x }, inputGrad);
    const magnitudes = { shape: dy.shape, values: dy.values.map(Math.abs) };
    const ones = { shape: filter.shape, values: new Float32Array(filter.values.length).fill(1) };
    const plain = { ...inputGrad, precision: 'float32' };
    const [exact] = await run('native', 'BnnBinaryConvInputGrad', { dy, filter, x }, plain);
    const [sums] = await run('native', 'BnnBinaryConvInputGrad', { dy: magnitudes, filter: ones, x }, plain);
    expect(dx!.values).not.toEqual(exact!.values);
    for (const [i, value] of dx!.values.entries()) {
      expect(Math.abs(value - exact!.values[i]!)).toBeLessThanOrEqual(sums!.values[i]! / 256 + 1e-5);
    }
  });

  it('are what an instruction set without them makes of floats', async () => {
    if (!native.ok) return;
    const isa = native.value.isa();
    const attributes = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1], precision: 'bf16' };
    const inputs = { x: random([3, 8, 8, 32], 1), dy: random([3, 8, 8, 32], 2) };
    const grad = { ...attributes, filterShape: [3, 3, 32, 32] };
    const [fast] = await run('native', 'BnnBinaryConvFilterGrad', inputs, grad);
    native.value.setIsa('scalar');
    const [slow] = await run('native', 'BnnBinaryConvFilterGrad', inputs, grad);
    native.value.setIsa(isa);
    for (const [i, value] of fast!.values.entries()) expect(value).toBeCloseTo(slow!.values[i]!, 3);
  });
});

it('precision: auto is what is faster, and bf16 is refused where there is none', () => {
  const capabilities = { bf16: true } as Parameters<typeof precisionOf>[1]['capabilities'];
  const backend = { name: 'toy', capabilities };
  expect(precisionOf('auto', backend)).toBe('float32');
  expect(precisionOf('auto', { ...backend, fasterInBf16: true })).toBe('bf16');
  expect(precisionOf('bf16', backend)).toBe('bf16');
  expect(precisionOf('bf16-all', backend)).toBe('bf16-all');
  const none = { name: 'toy', capabilities: { ...capabilities, bf16: false } };
  expect(() => precisionOf('bf16-all', none)).toThrow(/precision is bf16-all, but the backend toy/);
  expect(precisionOf('float32', { ...backend, fasterInBf16: true })).toBe('float32');
  expect(() => precisionOf('bf16', { name: 'toy', capabilities: { ...capabilities, bf16: false } })).toThrow(
    /bf16, but the backend toy multiplies float32/,
  );
  expect(namesWith('bf16')).toContain('native');
});
