import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { crossEntropy } from '../../../src/training/learning/loss.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));
/** −t·log σ(z) − (1 − t)·log(1 − σ(z)), as written in books. */
const binary = (z: number, t: number): number => -t * Math.log(sigmoid(z)) - (1 - t) * Math.log(1 - sigmoid(z));
/** KL of two coins. */
const divergence = (p: number, q: number): number => p * Math.log(p / q) + (1 - p) * Math.log((1 - p) / (1 - q));

const logits = [0.3, -1.2, 2.5, -0.1];
const labels = [1, 0, 0, 1];
const others = [0, 0, 1, 1];
const goal = [1.5, -0.4, 0.2, -2];

interface Case {
  readonly smoothing: number;
  readonly share: number;
  readonly weight: number;
  readonly temperature: number;
}

function reference(values: readonly number[], { smoothing, share, weight, temperature }: Case): number {
  const losses = values.map((z, i) => {
    const hard = share * labels[i]! + (1 - share) * others[i]!;
    const own = binary(z, (1 - smoothing) * hard + smoothing / 2);
    const imitation = temperature ** 2 * divergence(sigmoid(goal[i]! / temperature), sigmoid(z / temperature));
    return (1 - weight) * own + weight * imitation;
  });
  return losses.reduce((a, b) => a + b, 0) / values.length;
}

describe.each([[[4, 1]], [[4]]])('binary cross-entropy of logits [%s]', (shape) => {
  it.each<[string, Case]>([
    ['plain', { smoothing: 0, share: 1, weight: 0, temperature: 1 }],
    ['smoothed', { smoothing: 0.1, share: 1, weight: 0, temperature: 1 }],
    ['mixed', { smoothing: 0, share: 0.7, weight: 0, temperature: 1 }],
    ['with everything', { smoothing: 0.2, share: 0.6, weight: 0.5, temperature: 3 }],
  ])('%s: value and gradient', (_, options) => {
    const { smoothing, share, weight, temperature } = options;
    const result = crossEntropy(tf.tensor(logits, shape), tf.tensor1d(labels, 'int32'), smoothing, {
      mixed: { labels: tf.tensor1d(others, 'int32'), share: tf.scalar(share), rest: tf.scalar(1 - share) },
      teacher: { logits: tf.tensor(goal, shape), weight, temperature },
    });
    expect(result.loss.dataSync()[0]).toBeCloseTo(reference(logits, options), 5);
    expect(result.dlogits.shape).toEqual(shape);
    const gradient = result.dlogits.dataSync();
    for (const i of logits.keys()) {
      const moved = (delta: number) => logits.map((z, j) => (j === i ? z + delta : z));
      const difference = (reference(moved(1e-6), options) - reference(moved(-1e-6), options)) / 2e-6;
      expect(gradient[i]).toBeCloseTo(difference, 5);
    }
  });

  it('stays finite far from 0, and decides by the sign', () => {
    const far = tf.tensor([1000, -1000, 90, 3], shape);
    const { loss, correct, dlogits } = crossEntropy(far, tf.tensor1d([1, 0, 0, 0], 'int32'), 0);
    expect(loss.dataSync()[0]).toBeCloseTo((90 + binary(3, 0)) / 4, 4);
    expect(correct.dataSync()[0]).toBe(2);
    expect(Array.from(dlogits.dataSync())).toEqual([0, 0, 0.25, expect.closeTo(sigmoid(3) / 4, 6)]);
  });
});
