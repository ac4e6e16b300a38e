/** What stands between the optimizer and the program: latent weights, averages, the probe. */

import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Tensor } from '../../src/core/tensor.ts';
import { createReste } from '../../src/estimators/reste.ts';
import { createSte } from '../../src/estimators/ste.ts';
import { IndicatorProbe } from '../../src/training/indicator-probe.ts';
import { LatentWeights } from '../../src/training/latent-weights.ts';
import { softmaxCrossEntropy } from '../../src/training/loss.ts';
import { Optimizer } from '../../src/training/optimizer.ts';
import { Program } from '../../src/training/program.ts';
import { WeightAverage } from '../../src/training/weight-average.ts';
import { createRecu, recuTau } from '../../src/training/weight-transform.ts';
import { buildModel } from '../../src/zoo/zoo.ts';

beforeAll(() => tf.setBackend('cpu'));

const identity = createSte(Infinity);
const SETTINGS = { weightEstimator: identity, activationEstimator: createReste(2) };
const createProgram = () =>
  new Program(buildModel('binarynet-mini', { seed: 3, imageSize: 9 }), { explicitPadding: true });
const values = (t: tf.Tensor) => Array.from(t.dataSync());

function gradientsOf(program: Program, observe?: (layer: string, x: tf.Tensor) => void) {
  const x = tf.randomNormal([4, 9, 9, 1], 0, 1, 'float32', 5);
  return program.differentiate(x, { ...SETTINGS, observe }, (logits) => {
    const loss = softmaxCrossEntropy(logits, tf.tensor1d([1, 2, 3, 4], 'int32'), 0);
    return { loss: 0, dlogits: loss.dlogits };
  }).gradients;
}

describe('LatentWeights', () => {
  it('the network computes with the transformed weights, the optimizer moves the latent ones', () => {
    const program = createProgram();
    const raw = values(program.parameter('conv2.weight'));
    const weights = new LatentWeights(program, 'recu');
    weights.setEpoch(4, 10);
    expect(values(weights.parameter('conv2.weight'))).toEqual(raw);
    const recu = createRecu(recuTau(4, 10));
    const transformed = values(recu.forward(weights.parameter('conv2.weight'), 3));
    expect(values(program.parameter('conv2.weight'))).toEqual(transformed);
    const moved = tf.randomNormal([3, 3, 32, 64], 0, 1, 'float32', 8);
    weights.setParameter('conv2.weight', moved);
    expect(values(program.parameter('conv2.weight'))).toEqual(values(recu.forward(moved, 3)));
    // A float layer is not transformed.
    expect(weights.parameter('conv1.weight')).toBe(program.parameter('conv1.weight'));
  });

  it('saves and restores', async () => {
    const [first, second] = [createProgram(), createProgram()];
    const [from, to] = [new LatentWeights(first, 'biper'), new LatentWeights(second, 'biper')];
    from.setParameter('conv3.weight', tf.randomNormal([3, 3, 64, 64], 0, 1, 'float32', 8));
    from.setEpoch(0, 1);
    to.setEpoch(0, 1);
    const saved = await from.save();
    expect([...saved.keys()]).toEqual(['conv2.weight.raw', 'conv3.weight.raw']);
    to.restore(saved);
    for (const name of ['conv2.weight', 'conv3.weight']) {
      expect(values(to.parameter(name))).toEqual(values(from.parameter(name)));
      expect(values(second.parameter(name))).toEqual(values(first.parameter(name)));
    }
    saved.delete('conv3.weight.raw');
    expect(() => to.restore(saved, 'file')).toThrow('lacks "conv3.weight.raw" of [64, 64, 3, 3]');
  });
});

describe('WeightAverage', () => {
  it('is the recurrence, and stands in only while asked', async () => {
    const program = createProgram();
    const average = new WeightAverage(program, 0.5);
    let expected = values(program.parameter('fc.bias'));
    for (let step = 1; step <= 12; step++) {
      program.setParameter('fc.bias', tf.randomNormal([10], 0, 1, 'float32', step));
      average.update(step);
      const decay = Math.min(0.5, (1 + step) / (10 + step));
      const current = values(program.parameter('fc.bias'));
      expected = expected.map((value, i) => decay * value + (1 - decay) * current[i]!);
    }
    const raw = values(program.parameter('fc.bias'));
    const tensors = tf.memory().numTensors;
    await average.during(async () => {
      for (const [i, value] of values(program.parameter('fc.bias')).entries())
        expect(value).toBeCloseTo(expected[i]!, 5);
    });
    expect(tf.memory().numTensors).toBe(tensors);
    expect(values(program.parameter('fc.bias'))).toEqual(raw);

    const other = createProgram();
    const restored = new WeightAverage(other, 0.5);
    restored.restore(await average.save());
    expect(values(other.parameter('fc.bias'))).toEqual(raw);
    await restored.during(async () => {
      for (const [i, value] of values(other.parameter('fc.bias')).entries()) expect(value).toBeCloseTo(expected[i]!, 5);
    });
  });
});

describe('Bop', () => {
  it('starts at ±1, keeps them there, and leaves the rest to Adam', async () => {
    const program = createProgram();
    const optimizer = new Optimizer(program, {
      ...{ optimizer: 'bop', momentum: 0, weightDecay: 0, weightDecayOn: 'all', clampWeights: 0 },
      ...{ bopGamma: 0.5, bopThreshold: 1e-6 },
    });
    const before = values(program.parameter('conv2.weight'));
    optimizer.apply(gradientsOf(program), 0.01);
    const after = values(program.parameter('conv2.weight'));
    expect(new Set([...before, ...after])).toEqual(new Set([1, -1]));
    expect(after).not.toEqual(before);
    const names = [...(await optimizer.save()).keys()];
    expect(names).toContain('conv2.weight.average');
    expect(names).toContain('conv1.weight.v');
    expect(names).not.toContain('conv2.weight.v');
  });
});

describe('IndicatorProbe', () => {
  it('sees every binary layer, its gradients and its flips', async () => {
    const program = createProgram();
    const probe = new IndicatorProbe(program, { surrogate: (w) => w, seed: 1 });
    await probe.begin();
    const gradients = gradientsOf(program, probe.observe);
    await probe.addGradients(gradients);
    const weights = values(program.parameter('conv2.weight'));
    program.setParameter('conv2.weight', tf.neg(program.parameter('conv2.weight')));
    const result = (await probe.finish(0))!;
    expect(result.layers.map(({ layer, weights: n }) => [layer, n])).toEqual([
      ['conv2', 32 * 64 * 9],
      ['conv3', 64 * 64 * 9],
    ]);
    const [first, second] = result.layers;
    expect([first!.flipRatio, second!.flipRatio]).toEqual([1, 0]);
    const error = Math.hypot(...weights.map((w) => Math.abs(w) - 1));
    expect(first!.estimatingError).toBeCloseTo(error, 8);
    const magnitudes = values(gradients.get('conv3.weight')!).map(Math.abs);
    const { mean, variance } = tf.moments(tf.tensor1d(magnitudes));
    const deviation = Math.sqrt(variance.dataSync()[0]!);
    expect(second!.gradientVariation).toBeCloseTo(deviation / mean.dataSync()[0]!, 3);
    for (const { activations } of result.layers) {
      expect(activations!.signEntropy).toBeGreaterThan(0);
      expect(activations!.signEntropy).toBeLessThanOrEqual(1);
    }
    expect(first!.activations!.channels).toBe(32);
  });

  it('goes on from a saved state', async () => {
    const program = createProgram();
    const options = { surrogate: (w: number) => w, seed: 1 };
    const probe = new IndicatorProbe(program, options);
    await probe.begin();
    const saved = probe.save();
    program.setParameter('conv3.weight', tf.neg(program.parameter('conv3.weight')));
    const restored = new IndicatorProbe(program, options);
    restored.restore(saved);
    expect((await restored.finish(0))!.layers[1]!.flipRatio).toBe(1);
    expect(() => restored.restore(new Map<string, Tensor>(), 'file')).toThrow('lacks "conv2.weight.epoch_signs"');
  });

  it('a float network has none', async () => {
    const program = new Program(buildModel('binarynet-mini-fp', { seed: 1, imageSize: 9 }), { explicitPadding: true });
    const probe = new IndicatorProbe(program, { surrogate: (w) => w, seed: 1 });
    await probe.begin();
    expect(await probe.finish(0)).toBeNull();
  });
});

it('relaxed weights: the forward pass uses them without their sign, and their gradient passes', () => {
  const program = createProgram();
  const x = tf.randomNormal([2, 9, 9, 1], 0, 1, 'float32', 5);
  const pass = (relaxWeights: boolean, scale: number) => {
    program.setParameter('conv2.weight', tf.mul(tf.randomNormal([3, 3, 32, 64], 0, 1, 'float32', 4), scale));
    return values(
      program.differentiate(x, { ...SETTINGS, relaxWeights }, (logits) => ({
        loss: tf.keep(tf.clone(logits)),
        dlogits: tf.onesLike(logits),
      })).loss,
    );
  };
  const distance = (a: number[], b: number[]) => Math.hypot(...a.map((value, i) => value - b[i]!));
  const sign = [pass(false, 1), pass(true, 1)];
  expect(distance(sign[0]!, sign[1]!)).toBeGreaterThan(1e-3);
  expect(values(program.infer(x, { ...SETTINGS, relaxWeights: true }))).toEqual(values(program.infer(x, SETTINGS)));
});
