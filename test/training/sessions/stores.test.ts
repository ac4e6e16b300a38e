/** What stands between the optimizer and the program: latent weights, averages, the probe. */

import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { signOf } from '../../../src/core/numbers/bits.ts';
import { Rng } from '../../../src/core/numbers/rng.ts';
import { rowNamed } from '../../../src/core/row-named.ts';
import type { Tensor } from '../../../src/core/tensors/tensor.ts';
import type { Batch } from '../../../src/data/batches/batch-maker.ts';
import { Batcher } from '../../../src/data/batches/batches.ts';
import { createReste } from '../../../src/estimators/reste.ts';
import { createSte } from '../../../src/estimators/ste.ts';
import { softmaxCrossEntropy } from '../../../src/training/learning/loss.ts';
import { MeasuredStatistics, measureStatistics } from '../../../src/training/measures/batch-statistics.ts';
import { IndicatorProbe } from '../../../src/training/measures/indicator-probe.ts';
import { SignChanges } from '../../../src/training/measures/sign-changes.ts';
import { LatentWeights } from '../../../src/training/optimizers/latent-weights.ts';
import { OPTIMIZERS, Optimizer, type OptimizerRow } from '../../../src/training/optimizers/optimizer.ts';
import { WeightAverage } from '../../../src/training/optimizers/weight-average.ts';
import { createBiper, createRecu, recuTau } from '../../../src/training/optimizers/weight-transform.ts';
import { Program } from '../../../src/training/program/program.ts';
import { buildModel } from '../../../src/zoo/zoo.ts';

beforeAll(() => tf.setBackend('cpu'));

const identity = createSte(Infinity);
const SETTINGS = { weightEstimator: identity, activationEstimator: createReste(2) };
const createProgram = () =>
  new Program(buildModel('binarynet-mini', { seed: 3, imageSize: 9 }), { explicitPadding: true });
const values = (t: tf.Tensor) => Array.from(t.dataSync());

function gradientsOf(program: Program) {
  const x = tf.randomNormal([4, 9, 9, 1], 0, 1, 'float32', 5);
  return program.differentiate(x, SETTINGS, (logits) => {
    const loss = softmaxCrossEntropy(logits, tf.tensor1d([1, 2, 3, 4], 'int32'), 0);
    return { loss: 0, dlogits: loss.dlogits };
  }).gradients;
}

describe('LatentWeights', () => {
  it('the network computes with the transformed weights, the optimizer moves the latent ones', () => {
    const program = createProgram();
    const raw = values(program.parameter('conv2.weight'));
    const weights = new LatentWeights(program, (epoch, epochs) => createRecu(recuTau(epoch, epochs)));
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
    const [from, to] = [new LatentWeights(first, () => createBiper()), new LatentWeights(second, () => createBiper())];
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
      ...{ weightDecay: 0, weightDecayOn: 'all', clampWeights: 0 },
      optimizer: rowNamed<OptimizerRow>(OPTIMIZERS, 'bop'),
      values: { bopGamma: 0.5, bopThreshold: 1e-6, bopDecay: 1 },
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
  const images = Float32Array.from({ length: 8 * 81 }, (_, i) => Math.sin(i * i));
  const split = {
    ...{ kind: 'memory', count: 8, height: 9, width: 9, channels: 1, classes: 10, mean: [0.5], std: [0.5] },
    images: Uint8Array.from(images, (x) => 128 + 127 * x),
    labels: Int32Array.from({ length: 8 }, (_, i) => i),
  } as const;
  const createSample = () => new Batcher(split as never, { batchSize: 4 });
  const optionsOf = (program: Program, given: Map<string, tf.Tensor>[] = []) => ({
    ...{ estimator: identity, seed: 1, stepsPerEpoch: 2 },
    differentiate: async (batch: Batch, _: number, observe: (layer: string, x: tf.Tensor) => void) => {
      const x = tf.tensor4d(batch.images, [4, 9, 9, 1]);
      const settings = { ...SETTINGS, observe, statisticsKeep: 1 };
      const { gradients } = program.differentiate(x, settings, (logits) => {
        const { dlogits } = softmaxCrossEntropy(logits, tf.tensor1d(batch.labels, 'int32'), 0);
        return { loss: 0, dlogits };
      });
      given.push(new Map(Array.from(gradients, ([name, t]) => [name, tf.clone(t)])));
      return gradients;
    },
  });

  it('measures every binary layer over the sample, and moves nothing', async () => {
    const program = createProgram();
    const before = program.tensors().map(values);
    const given: Map<string, tf.Tensor>[] = [];
    const probe = new IndicatorProbe(program, optionsOf(program, given));
    probe.beginEpoch();
    const result = (await probe.measure(createSample(), 0))!;
    expect(program.tensors().map(values)).toEqual(before);
    expect(result.layers.map(({ layer, weights: n }) => [layer, n])).toEqual([
      ['conv2', 32 * 64 * 9],
      ['conv3', 64 * 64 * 9],
    ]);
    const [first, second] = result.layers;
    expect(first!.estimatingError).toBeCloseTo(
      Math.hypot(...values(program.parameter('conv2.weight')).map((w) => Math.abs(w) - 1)),
      8,
    );
    expect(given.length).toBe(2);
    const variances = given.map((gradients) => {
      const magnitudes = values(gradients.get('conv3.weight')!).map(Math.abs);
      const average = magnitudes.reduce((a, b) => a + b, 0) / magnitudes.length;
      return magnitudes.reduce((sum, g) => sum + (g - average) ** 2, 0) / (magnitudes.length - 1);
    });
    expect(second!.gradientVariance / ((variances[0]! + variances[1]!) / 2)).toBeCloseTo(1, 8);
    for (const { activations, flipRatio, firstSignCorrelation } of result.layers) {
      expect([flipRatio, firstSignCorrelation]).toEqual([0, 1]);
      expect(activations!.signEntropy).toBeGreaterThan(0);
      expect(activations!.signEntropy).toBeLessThanOrEqual(1);
      expect(activations!.labelInformation).toBeLessThanOrEqual(activations!.signEntropy);
    }
    expect(first!.activations!.channels).toBe(32);
  });

  it('goes on from a saved state', async () => {
    const program = createProgram();
    const probe = new IndicatorProbe(program, optionsOf(program));
    probe.beginEpoch();
    const saved = await probe.save();
    program.setParameter('conv3.weight', tf.neg(program.parameter('conv3.weight')));
    const restored = new IndicatorProbe(program, optionsOf(program));
    restored.restore(saved);
    expect((await restored.measure(createSample(), 0))!.layers[1]!.flipRatio).toBe(1);
    expect(() => restored.restore(new Map<string, Tensor>(), 'file')).toThrow('lacks "conv2.weight.');
  });

  it('a float network has none', async () => {
    const program = new Program(buildModel('binarynet-mini-fp', { seed: 1, imageSize: 9 }), { explicitPadding: true });
    const probe = new IndicatorProbe(program, optionsOf(program));
    probe.beginEpoch();
    expect(await probe.measure(createSample(), 0)).toBeNull();
  });
});

describe('SignChanges', () => {
  it('counts what a loop over the weights of every step counts, also across epochs and a resume', async () => {
    const program = createProgram();
    const size = 32 * 64 * 9;
    const rng = new Rng(4);
    let changes = new SignChanges(program);
    changes.beginEpoch();
    const first = values(program.parameter('conv2.weight')).map(signOf);
    let start = first;
    let now = first;
    const ever = new Set<number>();
    for (let epoch = 0; epoch < 2; epoch++) {
      if (epoch > 0) changes.beginEpoch();
      start = now;
      let flips = 0;
      for (let step = 0; step < 3; step++) {
        const next = values(program.parameter('conv2.weight')).map((w) => (rng.uniform() < 0.1 ? -w : w));
        program.setParameter('conv2.weight', tf.tensor(next, [3, 3, 32, 64]));
        changes.update();
        const signs = next.map(signOf);
        for (const [i, sign] of signs.entries()) {
          if (sign === now[i]) continue;
          flips++;
          ever.add(i);
        }
        now = signs;
        if (epoch === 1 && step === 1) {
          const saved = await changes.save();
          changes.dispose();
          changes = new SignChanges(program);
          changes.restore(saved);
        }
      }
      const lasting = now.filter((sign, i) => sign !== start[i]).length;
      const measured = await changes.measure('conv2.weight', 3);
      expect(measured.flipRatio).toBe(lasting / size);
      expect(measured.stepFlipRate).toBeCloseTo(flips / (3 * size), 12);
      expect(measured.oscillation).toBeCloseTo(1 - lasting / flips, 12);
      expect(measured.neverFlipped).toBeCloseTo(1 - ever.size / size, 12);
      const correlation = now.reduce<number>((sum, sign, i) => sum + sign * first[i]!, 0) / size;
      expect(measured.firstSignCorrelation).toBeCloseTo(correlation, 12);
    }
  });
});

describe('measured batch statistics', () => {
  it('are the mean of those of the batches, and training goes on with its own', async () => {
    const program = createProgram();
    const name = [...program.parameters.values()].find(({ role }) => role === 'buffer')!.name;
    const batches = [5, 6, 7].map((seed) => tf.randomNormal([4, 9, 9, 1], 0, 1, 'float32', seed) as tf.Tensor4D);
    const alone = [];
    for (const x of batches) {
      await program.adoptStatistics(x, SETTINGS, 0);
      alone.push(values(program.parameter(name)));
    }
    const trained = alone[2]!;
    const sample = {
      epoch: async function* () {
        for (const [index, x] of batches.entries()) yield { images: x.dataSync(), count: 4, index };
      },
    } as unknown as Batcher;
    const statistics = new MeasuredStatistics(program);
    let measurements = 0;
    const measure = () => {
      measurements++;
      return measureStatistics(program, sample, { height: 9, width: 9, channels: 1 }, SETTINGS);
    };
    const seen = async () => values(program.parameter(name));
    const measured = await statistics.during(measure, seen);
    for (const [i, value] of measured.entries()) {
      expect(value).toBeCloseTo((alone[0]![i]! + alone[1]![i]! + alone[2]![i]!) / 3, 5);
    }
    expect(values(program.parameter(name))).toEqual(trained);
    expect(await statistics.during(measure, seen)).toEqual(measured);
    expect(measurements).toBe(1);
    statistics.clear();
    await statistics.during(measure, seen);
    expect(measurements).toBe(2);
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
