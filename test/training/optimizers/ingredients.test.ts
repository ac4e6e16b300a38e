import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { Rng } from '../../../src/core/numbers/rng.ts';
import { rowNamed } from '../../../src/core/row-named.ts';
import { softmaxCrossEntropy } from '../../../src/training/learning/loss.ts';
import { mixBatch, mixRng, symmetricBeta } from '../../../src/training/learning/mix-batch.ts';
import { clipByGroup, clipGradients } from '../../../src/training/optimizers/clip-gradients.ts';
import { OPTIMIZERS, Optimizer, type OptimizerRow } from '../../../src/training/optimizers/optimizer.ts';
import {
  learningRate,
  SCHEDULES,
  type ScheduleMoment,
  type ScheduleRow,
} from '../../../src/training/optimizers/schedule.ts';
import type { ParameterInfo } from '../../../src/training/program/parameters.ts';

beforeAll(() => tf.setBackend('cpu'));

describe('clipping by the global norm', () => {
  const gradients = () =>
    new Map([
      ['a', tf.tensor1d([3, 0])],
      ['b', tf.tensor1d([0, 4])],
    ]);

  it('scales all together', async () => {
    const clipped = await clipGradients(gradients(), 1);
    expect(Array.from(clipped.get('a')!.dataSync())).toEqual([Math.fround(0.6), 0]);
    expect(Array.from(clipped.get('b')!.dataSync())).toEqual([0, Math.fround(0.8)]);
  });

  it('leaves small ones as they are', async () => {
    const small = gradients();
    expect(await clipGradients(small, 5)).toBe(small);
  });

  it('by role, binary weights, float weights and the rest have limits of their own', async () => {
    const roles = { a: 'binary-weight', b: 'weight', c: 'norm', d: 'bias' } as const;
    const parameters = new Map(Object.entries(roles).map(([name, role]) => [name, { role }]));
    const given = () =>
      new Map(Object.entries({ a: [3], b: [0.5], c: [3], d: [4] }).map(([k, v]) => [k, tf.tensor1d(v)]));
    const of = (clipped: ReadonlyMap<string, tf.Tensor>) =>
      Object.fromEntries([...clipped].map(([name, t]) => [name, t.dataSync()[0]!]));
    const apart = of(await clipByGroup(given(), 1, 'role', parameters));
    for (const [name, value] of Object.entries({ a: 1, b: 0.5, c: 0.6, d: 0.8 }))
      expect(apart[name]).toBeCloseTo(value, 6);
    const together = of(await clipByGroup(given(), 1, 'all', parameters));
    expect(together['a']! / together['b']!).toBeCloseTo(6, 5);
  });
});

describe('learning rates and decay by role', () => {
  it('multiply those of the recipe', () => {
    const roles = { w: 'binary-weight', f: 'weight', n: 'norm', b: 'bias' } as const;
    const values = new Map<string, tf.Tensor>(Object.keys(roles).map((name) => [name, tf.scalar(1)]));
    const parameters = new Map(
      Object.entries(roles).map(([name, role]): [string, ParameterInfo] => [
        name,
        { name, role, layout: 'plain', shape: [], outputAxis: 0 },
      ]),
    );
    const store = {
      parameters,
      parameter: (name: string) => values.get(name)!,
      setParameter: (name: string, value: tf.Tensor) => void values.set(name, value),
    };
    const optimizer = new Optimizer(store, {
      ...{ optimizer: rowNamed<OptimizerRow>(OPTIMIZERS, 'sgd'), values: { momentum: 0 } },
      ...{ weightDecay: 0.1, weightDecayOn: 'all', clampWeights: 0 },
      ...{ binaryLr: 3, normLr: 0.5, binaryDecay: 2, normDecay: 0 },
    });
    optimizer.apply(new Map(Object.keys(roles).map((name) => [name, tf.scalar(0.5)])), 0.2);
    const moved = (lr: number, decay: number) => 1 - lr * 0.2 * (0.5 + decay * 0.1);
    const expected = { w: moved(3, 2), f: moved(1, 1), n: moved(0.5, 0), b: moved(0.5, 0) };
    for (const [name, value] of Object.entries(expected)) expect(values.get(name)!.dataSync()[0]).toBeCloseTo(value, 6);
  });
});

describe('the loss', () => {
  const count = 3;
  const classes = 4;
  const rng = new Rng(2);
  const logits = Array.from({ length: count * classes }, () => 2 * rng.normal());
  const goal = Array.from({ length: count * classes }, () => 2 * rng.normal());
  const labels = [1, 0, 3];
  const others = [2, 2, 0];
  const softmax = (row: number[]) => {
    const e = row.map(Math.exp);
    const sum = e.reduce((a, b) => a + b, 0);
    return e.map((value) => value / sum);
  };
  const rowsOf = (values: number[]) => labels.map((_, n) => values.slice(n * classes, (n + 1) * classes));

  /** From the definitions, in float64. */
  function reference(values: number[], share: number, weight: number, temperature: number, smoothing: number): number {
    let total = 0;
    for (const [n, row] of rowsOf(values).entries()) {
      const p = softmax(row);
      for (const [k, probability] of p.entries()) {
        const hard = share * Number(k === labels[n]) + (1 - share) * Number(k === others[n]);
        total -= (1 - weight) * ((1 - smoothing) * hard + smoothing / classes) * Math.log(probability);
      }
      const own = softmax(row.map((value) => value / temperature));
      const wanted = softmax(rowsOf(goal)[n]!.map((value) => value / temperature));
      for (const [k, q] of wanted.entries()) total += weight * temperature ** 2 * q * Math.log(q / own[k]!);
    }
    return total / count;
  }

  it.each([
    ['plain', 1, 0, 1, 0],
    ['smoothed', 1, 0, 1, 0.1],
    ['mixed', 0.7, 0, 1, 0],
    ['with a teacher', 1, 0.5, 4, 0],
    ['with everything', 0.6, 0.9, 2, 0.1],
  ] as const)('%s: value and gradient', (_, share, weight, temperature, smoothing) => {
    const result = softmaxCrossEntropy(tf.tensor2d(logits, [count, classes]), tf.tensor1d(labels, 'int32'), smoothing, {
      mixed:
        share === 1
          ? undefined
          : { labels: tf.tensor1d(others, 'int32'), share: tf.scalar(share), rest: tf.scalar(1 - share) },
      teacher: weight === 0 ? undefined : { logits: tf.tensor2d(goal, [count, classes]), weight, temperature },
    });
    const at = (values: number[]) => reference(values, share, weight, temperature, smoothing);
    expect(result.loss.dataSync()[0]).toBeCloseTo(at(logits), 5);
    const gradient = result.dlogits.dataSync();
    for (const i of logits.keys()) {
      const moved = (delta: number) => logits.map((value, j) => (j === i ? value + delta : value));
      expect(gradient[i]).toBeCloseTo((at(moved(1e-6)) - at(moved(-1e-6))) / 2e-6, 5);
    }
  });
});

describe('mixing a batch', () => {
  const size = { height: 6, width: 5, channels: 2 };
  const pixels = 60;
  const count = 8;
  const labels = Int32Array.from({ length: count }, (_, i) => i);
  const images = () => Float32Array.from({ length: count * pixels }, (_, i) => 1 + Math.floor(i / pixels));

  it('does nothing when nothing is asked for', () => {
    const x = images();
    expect(mixBatch(x, labels, size, { cutout: 0, mixup: 0 }, mixRng(1, 0, 0))).toEqual({
      images: x,
      otherLabels: null,
      share: 1,
    });
    expect(x).toEqual(images());
  });

  it('cuts one rectangle out of each picture, in all channels, at most as large as asked', () => {
    const sizes = new Set<number>();
    for (let batch = 0; batch < 20; batch++) {
      const { images: cut } = mixBatch(images(), labels, size, { cutout: 3, mixup: 0 }, mixRng(1, 0, batch));
      for (let n = 0; n < count; n++) {
        const holes: [number, number][] = [];
        for (let y = 0; y < 6; y++) {
          for (let x = 0; x < 5; x++) {
            const at = n * pixels + (y * 5 + x) * 2;
            expect(cut[at]).toBe(cut[at + 1]);
            if (cut[at] === 0) holes.push([y, x]);
          }
        }
        const [ys, xs] = [holes.map(([y]) => y), holes.map(([, x]) => x)];
        const [height, width] = [Math.max(...ys) - Math.min(...ys) + 1, Math.max(...xs) - Math.min(...xs) + 1];
        expect(height * width).toBe(holes.length);
        expect(Math.max(height, width)).toBeLessThanOrEqual(3);
        sizes.add(holes.length);
      }
    }
    expect(sizes).toContain(9);
    expect(sizes.size).toBeGreaterThan(1);
  });

  it('mixes each picture with the one whose label it names, by one share of at least a half', () => {
    const {
      images: mixed,
      otherLabels,
      share,
    } = mixBatch(images(), labels, size, { cutout: 0, mixup: 1 }, mixRng(3, 1, 2));
    expect(share).toBeGreaterThanOrEqual(0.5);
    expect(Array.from(otherLabels!).sort()).toEqual(Array.from(labels));
    for (let n = 0; n < count; n++) {
      const expected = share * (1 + n) + (1 - share) * (1 + otherLabels![n]!);
      for (let i = 0; i < pixels; i++) expect(mixed[n * pixels + i]).toBeCloseTo(expected, 5);
    }
  });

  it('is drawn from seed, epoch and batch alone', () => {
    const options = { cutout: 2, mixup: 0.4 };
    const make = (batch: number) => mixBatch(images(), labels, size, options, mixRng(5, 6, batch));
    expect(make(7)).toEqual(make(7));
    expect(make(7)).not.toEqual(make(8));
  });

  it.each([0.2, 1, 2])('Beta(α, α) at α = %f has mean ½ and variance 1/(4·(2α + 1))', (alpha) => {
    const rng = new Rng(9);
    const draws = Array.from({ length: 20000 }, () => symmetricBeta(alpha, rng));
    const mean = draws.reduce((a, b) => a + b, 0) / draws.length;
    const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length;
    expect(mean).toBeCloseTo(0.5, 1.7);
    expect(variance * 4 * (2 * alpha + 1)).toBeCloseTo(1, 1);
  });
});

describe('schedules', () => {
  const rate = (name: string, moment: Omit<ScheduleMoment, 'warmupSteps'>, values = {}): number =>
    learningRate(rowNamed<ScheduleRow>(SCHEDULES, name), { ...moment, warmupSteps: 0 }, values);

  it('step multiplies after each so many steps', () => {
    const rates = Array.from({ length: 9 }, (_, step) =>
      rate('step', { lr: 1, step, totalSteps: 9, stepsPerEpoch: 1 }, { stepEpochs: 3, stepFactor: 0.5 }),
    );
    expect(rates).toEqual([1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]);
  });

  it('restarts is the published curve: PyTorch’s CosineAnnealingWarmRestarts(T_0=2, T_mult=2) after each step', () => {
    const restarts = (step: number, values = { restartEpochs: 1, restartFactor: 2 }) =>
      rate('restarts', { lr: 1, step, totalSteps: 14, stepsPerEpoch: 2 }, values);
    const cosine = (share: number) => (1 + Math.cos(Math.PI * share)) / 2;
    const expected = [0, 1 / 2, 0, 1 / 4, 2 / 4, 3 / 4, ...Array.from({ length: 8 }, (_, i) => i / 8)].map(cosine);
    for (const [step, value] of expected.entries()) expect(restarts(step)).toBeCloseTo(value, 12);
    for (const step of [0, 2, 4, 12]) expect(restarts(step, { restartEpochs: 1, restartFactor: 1 })).toBe(1);
  });

  it('one-cycle is the published curve: PyTorch’s OneCycleLR(max_lr=0.1, total_steps=10) with its defaults', () => {
    // The formula of its documentation: cosine from 0.004 to 0.1 over 0.3·10 − 1 steps, then to 0.004/10⁴ at step 9.
    const cosine = (from: number, to: number, share: number) =>
      to + ((from - to) / 2) * (1 + Math.cos(Math.PI * share));
    for (let step = 0; step < 10; step++) {
      const expected = step <= 2 ? cosine(0.004, 0.1, step / 2) : cosine(0.1, 4e-7, (step - 2) / 7);
      expect(rate('one-cycle', { lr: 0.1, step, totalSteps: 10, stepsPerEpoch: 10 })).toBeCloseTo(expected, 12);
    }
    expect(rate('one-cycle', { lr: 0.1, step: 0, totalSteps: 10, stepsPerEpoch: 10 })).toBeCloseTo(0.004, 12);
    expect(rate('one-cycle', { lr: 0.1, step: 9, totalSteps: 10, stepsPerEpoch: 10 })).toBeCloseTo(4e-7, 12);
  });
});
