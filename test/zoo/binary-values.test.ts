import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { registerCpuBackend } from '../../src/backends/cpu/register.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import { float32, toNumbers } from '../../src/core/tensors/tensor.ts';
import { approxSignSchedule } from '../../src/estimators/approx-sign.ts';
import { createSte } from '../../src/estimators/ste.ts';
import type { Model } from '../../src/graph/model.ts';
import { Program, type RunSettings } from '../../src/training/program/program.ts';
import { parseRecipe } from '../../src/training/recipes/parse-recipe.ts';
import { checkRecipe } from '../../src/training/sessions/trainer.ts';
import * as layers from '../../src/zoo/layers.ts';
import { type BinaryValues, createNetwork, type Precision } from '../../src/zoo/network.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { caught } from '../graph/caught.ts';

const [FROM, TO, SIZE] = [3, 2, 4];
const ESTIMATORS: RunSettings = {
  weightEstimator: createSte(Infinity),
  activationEstimator: approxSignSchedule().at(0, 1),
};

/** One binary convolution, of which every output is a logit; with numbers as after some training. */
function oneLayer(binaryValues: BinaryValues, precision: Precision = '1w1a'): Model {
  const net = createNetwork('one', { seed: 3, precision, classes: 1, channels: FROM, imageSize: SIZE, binaryValues });
  const y = layers.binaryConv(net, net.input, 'conv', { from: FROM, to: TO, kernel: 3 });
  net.builder.output(layers.flatten(net, y), 'float32', ['N', TO * SIZE * SIZE]);
  const set = (name: string, data: number[], shape: number[]): void => {
    const value = net.builder.model.graph.values.get(name);
    if (value?.constant) net.builder.model.graph.setConstant(value, float32(shape, Float32Array.from(data)));
  };
  const rng = new Rng(4);
  set(
    'conv.weight',
    Array.from({ length: TO * FROM * 9 }, () => 0.1 * rng.normal() + 0.03),
    [TO, FROM, 3, 3],
  );
  set('conv.activation.alpha', [1.5], [1, 1, 1]);
  set('conv.activation.shift', [0.25], [1, 1, 1]);
  return net.builder.model;
}

const numbersOf = (model: Model, name: string): number[] => toNumbers(model.graph.values.get(name)!.constant!);
const sign = (x: number): number => (x >= 0 ? 1 : -1);
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Pictures [H][W][C] as they lie in memory. */
const pictures = (() => {
  const rng = new Rng(5);
  return Array.from({ length: SIZE * SIZE * FROM }, () => rng.normal());
})();

/** Σ over windows: of data [H][W][FROM] with weights [TO][FROM][3][3], zeros around; [TO][H][W]. */
function convolve(data: readonly number[], weights: readonly number[]): number[] {
  const y = new Array<number>(TO * SIZE * SIZE).fill(0);
  for (let o = 0; o < TO; o++)
    for (let h = 0; h < SIZE; h++)
      for (let w = 0; w < SIZE; w++)
        for (let c = 0; c < FROM; c++)
          for (let i = 0; i < 3; i++)
            for (let j = 0; j < 3; j++) {
              const [row, column] = [h + i - 1, w + j - 1];
              if (row < 0 || column < 0 || row >= SIZE || column >= SIZE) continue;
              const tap = weights[((o * FROM + c) * 3 + i) * 3 + j]!;
              y[(o * SIZE + h) * SIZE + w]! += tap * data[(row * SIZE + column) * FROM + c]!;
            }
  return y;
}

/** The two values of each filter, μ ± σ, by which its weights are replaced. */
function filterValues(weights: readonly number[]): { mean: number; deviation: number }[] {
  return Array.from({ length: TO }, (_, o) => {
    const filter = weights.slice(o * FROM * 9, (o + 1) * FROM * 9);
    const centre = mean(filter);
    return { mean: centre, deviation: Math.sqrt(mean(filter.map((w) => (w - centre) ** 2))) };
  });
}

const filterValue = (values: readonly { mean: number; deviation: number }[], w: number, i: number): number => {
  const { mean, deviation } = values[Math.floor(i / (FROM * 9))]!;
  return mean + deviation * sign(w - mean);
};

beforeAll(async () => {
  registerCpuBackend();
  await tf.setBackend('cpu');
});

function pass(model: Model, settings: RunSettings = ESTIMATORS) {
  const program = new Program(model, { explicitPadding: true });
  const x = tf.tensor4d(pictures, [1, SIZE, SIZE, FROM]);
  const rng = new Rng(6);
  const weights = Array.from({ length: TO * SIZE * SIZE }, () => rng.normal());
  const y = Array.from(program.infer(x, settings).dataSync());
  const { gradients } = program.differentiate(x, settings, (logits) => ({
    loss: null,
    dlogits: tf.tensor(weights, logits.shape),
  }));
  return { program, y, dy: weights, gradients };
}

describe('what a binary layer computes', () => {
  const close = (found: readonly number[], expected: readonly number[]): void => {
    expect(found.length).toBe(expected.length);
    for (const [i, value] of expected.entries()) expect(found[i]).toBeCloseTo(value, 5);
  };

  it('mean and learned: a factor times sums of ±1', () => {
    for (const values of ['mean', 'learned'] as const) {
      const model = oneLayer(values);
      const weights = numbersOf(model, 'conv.weight');
      const alpha = values === 'mean' ? null : numbersOf(model, 'conv.alpha');
      const scale = mean(weights.map(Math.abs));
      const sums = convolve(pictures.map(sign), weights.map(sign));
      const expected = sums.map((sum, i) => sum * (alpha?.[Math.floor(i / SIZE ** 2)] ?? scale));
      close(pass(model).y, expected);
      if (alpha !== null) for (const a of alpha) expect(a).toBeGreaterThanOrEqual(0);
      if (alpha !== null) for (const a of alpha) expect(a).toBeLessThan(1);
    }
  });

  it.each(['1w1a', '1w32a'] as const)('adabin, %s: the convolution of two values with two values', (precision) => {
    const model = oneLayer('adabin', precision);
    const weights = numbersOf(model, 'conv.weight');
    const values = filterValues(weights);
    const data = precision === '1w1a' ? pictures.map((x) => 1.5 * sign((x + 0.25) / 1.5)) : pictures;
    close(
      pass(model).y,
      convolve(
        data,
        weights.map((w, i) => filterValue(values, w, i)),
      ),
    );
  });
});

describe('what a binary layer learns', () => {
  it('learned: Σ dy·sum of each channel', () => {
    const model = oneLayer('learned');
    const sums = convolve(pictures.map(sign), numbersOf(model, 'conv.weight').map(sign));
    const { gradients, dy } = pass(model);
    const area = SIZE * SIZE;
    const expected = [0, 1].map(
      (o) => mean(sums.slice(o * area, (o + 1) * area).map((s, i) => s * dy[o * area + i]!)) * area,
    );
    const found = gradients.get('conv.alpha')!.dataSync();
    for (const [o, value] of expected.entries()) expect(found[o]).toBeCloseTo(value, 4);
  });

  it('adabin: as difference quotients of the formula with signs that follow their estimators', () => {
    const model = oneLayer('adabin');
    const weights = numbersOf(model, 'conv.weight');
    const { gradients, dy, program } = pass(model);
    const start = filterValues(weights);
    const unit = (w: number, i: number, values = start): number => {
      const { mean, deviation } = values[Math.floor(i / (FROM * 9))]!;
      return (w - mean) / deviation;
    };
    /** Around the point, sign is what its estimator says: sign(z₀) + s(z₀)·(z − z₀), s = 1 for weights and 2 − 2|z₀| for activations. */
    const loss = (w: readonly number[], alpha: number, shift: number): number => {
      const values = filterValues(w);
      const filters = w.map((each, i) => {
        const { mean, deviation } = values[Math.floor(i / (FROM * 9))]!;
        const before = unit(weights[i]!, i);
        return mean + deviation * (sign(before) + unit(each, i, values) - before);
      });
      const data = pictures.map((x) => {
        const before = (x + 0.25) / 1.5;
        const slope = Math.max(0, 2 - 2 * Math.abs(before));
        return alpha * (sign(before) + slope * ((x + shift) / alpha - before));
      });
      return convolve(data, filters).reduce((sum, y, i) => sum + y * dy[i]!, 0);
    };
    const step = 1e-5;
    const of = (name: string) =>
      Array.from(
        tf
          .tidy(() => {
            const gradient = gradients.get(name)!;
            return gradient.rank === 4 ? tf.transpose(gradient, [3, 2, 0, 1]) : tf.clone(gradient);
          })
          .dataSync(),
      );
    const found = of('conv.weight');
    for (const i of weights.keys()) {
      const moved = (by: number) => weights.map((w, k) => (k === i ? w + by : w));
      expect(found[i]).toBeCloseTo((loss(moved(step), 1.5, 0.25) - loss(moved(-step), 1.5, 0.25)) / (2 * step), 3);
    }
    expect(of('conv.activation.alpha')[0]).toBeCloseTo(
      (loss(weights, 1.5 + step, 0.25) - loss(weights, 1.5 - step, 0.25)) / (2 * step),
      3,
    );
    expect(of('conv.activation.shift')[0]).toBeCloseTo(
      (loss(weights, 1.5, 0.25 + step) - loss(weights, 1.5, 0.25 - step)) / (2 * step),
      3,
    );
    expect([...program.parameters.keys()].sort()).toEqual([
      'conv.activation.alpha',
      'conv.activation.shift',
      'conv.weight',
    ]);
    // Of the filters less their means, not of the weights.
    const signs = tf.tidy(() => tf.transpose(program.binarized('conv.weight'), [3, 2, 0, 1])).dataSync();
    expect(Array.from(signs, sign)).toEqual(weights.map((w, i) => sign(unit(w, i))));
    expect(weights.map((w, i) => sign(unit(w, i)))).not.toEqual(weights.map(sign));
  });

  it('relaxed, AdaBin is the convolution of the weights themselves', () => {
    const model = oneLayer('adabin', '1w32a');
    const { gradients } = pass(model, { ...ESTIMATORS, relaxWeights: true });
    const plain = createNetwork('fp', { seed: 3, precision: 'fp', classes: 1, channels: FROM, imageSize: SIZE });
    const y = layers.conv(plain, plain.input, 'conv', { from: FROM, to: TO, kernel: 3 });
    plain.builder.output(layers.flatten(plain, y), 'float32', ['N', TO * SIZE * SIZE]);
    const { graph } = plain.builder.model;
    graph.setConstant(graph.values.get('conv.weight')!, model.graph.values.get('conv.weight')!.constant!);
    const expected = pass(plain.builder.model).gradients.get('conv.weight')!.dataSync();
    const found = gradients.get('conv.weight')!.dataSync();
    for (const [i, value] of expected.entries()) expect(found[i]).toBeCloseTo(value, 4);
  });
});

it('other values leave all random weights as they are', () => {
  const weights = (values: Record<string, string>) => {
    const { graph } = buildModel('binarynet-mini', { seed: 2, values });
    return [...graph.constants()].flatMap(({ name, constant }) =>
      /weight$/.test(name) && constant !== null ? [name, toNumbers(constant)] : [],
    );
  };
  expect(weights({ binaryValues: 'adabin' })).toEqual(weights({}));
  expect(weights({ binaryValues: 'learned' })).toEqual(weights({}));
});

it('AdaBin wants latent weights as they are', () => {
  for (const other of [{ weightTransform: 'recu' }, { optimizer: 'bop', estimator: 'ste' }]) {
    const recipe = parseRecipe([{ binaryValues: 'adabin', ...other }]);
    expect(caught(() => checkRecipe(recipe))).toMatchObject({ code: 'E_USAGE' });
  }
});
