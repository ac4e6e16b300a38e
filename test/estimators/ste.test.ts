import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, expect, it } from 'vitest';
import { createSte } from '../../src/estimators/ste.ts';

const golden = JSON.parse(readFileSync(new URL('../golden/ste.json', import.meta.url), 'utf8'));

beforeAll(() => tf.setBackend('cpu'));

it.each([
  ['ste_identity', Infinity],
  ['ste_clipped', 1],
  ['ste_clipped_1.25', 1.25],
])('%s equals its golden values', (name, clip) => {
  const estimator = createSte(clip);
  const { f, grad } = golden.estimators[name];
  const z = golden.z as number[];
  expect(z.map((x) => estimator.surrogate(x))).toEqual(f);
  expect(z.map((x) => estimator.factor(x))).toEqual(grad);
  const dy = z.map((_, i) => i + 1);
  expect([...estimator.gradient(tf.tensor1d(z), tf.tensor1d(dy)).dataSync()]).toEqual(dy.map((d, i) => d * grad[i]));
});
