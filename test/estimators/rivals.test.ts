import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { FLOAT32_TOLERANCE, FLOAT64_TOLERANCE } from '../../src/core/numbers/tolerance.ts';
import { rowNamed } from '../../src/core/row-named.ts';
import { approxSignSchedule } from '../../src/estimators/approx-sign.ts';
import { createDsq } from '../../src/estimators/dsq.ts';
import { createEde, edeT } from '../../src/estimators/ede.ts';
import type { Estimator } from '../../src/estimators/estimator.ts';
import { createFda, fdaTerms } from '../../src/estimators/fda.ts';
import { createRbnn } from '../../src/estimators/rbnn.ts';
import { createSwishSign } from '../../src/estimators/swish-sign.ts';
import { ESTIMATORS, type EstimatorRow } from '../../src/estimators/table.ts';

const golden = JSON.parse(readFileSync(new URL('../golden/estimators.json', import.meta.url), 'utf8'));
const z = golden.z as number[];

beforeAll(() => tf.setBackend('cpu'));

/** Those whose values were recorded of a parameter that is no field of recipes. */
const CREATE: Record<string, (params: Record<string, number>, name: string) => Estimator> = {
  approx: () => approxSignSchedule().at(0, 1),
  swish: ({ beta }) => createSwishSign(beta!),
  ede: ({ t }) => createEde(t!),
  dsq: ({ alpha }) => createDsq(alpha!),
  fda: ({ n }) => createFda(n!),
  rbnn: ({ t }, name) => createRbnn(t!, name.includes('act') ? 'activation' : 'weight'),
};

interface Reference {
  /** A row of the table, which makes it of `params`, its fields; what they are not given is their default. */
  readonly estimator?: string;
  readonly params?: Record<string, number>;
  readonly f?: number[];
  readonly grad: number[];
  readonly grad_clipped_to_1?: number[];
}

function estimatorOf(name: string, { estimator, params = {} }: Reference): Estimator {
  if (estimator === undefined) return CREATE[name.split('_')[0]!]!(params, name);
  const { fields, roles, create }: EstimatorRow = rowNamed<EstimatorRow>(ESTIMATORS, estimator);
  const defaults = Object.fromEntries(Object.entries(fields).map(([field, it]) => [field, it.default]));
  return create({ ...defaults, ...params }, roles[0]!).at(0, 1);
}

describe.each(Object.entries(golden.estimators as Record<string, Reference>))('%s', (name, reference) => {
  const estimator = estimatorOf(name, reference);
  const slopes = reference.grad_clipped_to_1 ?? reference.grad;
  const scale = Math.max(1, ...slopes.map(Math.abs));

  it('equals its golden values in float64', () => {
    for (const [i, x] of z.entries()) {
      expect(Math.abs(estimator.factor(x) - slopes[i]!), `s(${x})`).toBeLessThanOrEqual(FLOAT64_TOLERANCE * scale);
      // The FDA series is not clipped in the reference; the polynomial of activations has no recorded surrogate.
      if (reference.f !== undefined) {
        const expected = reference.f[i]!;
        expect(Math.abs(estimator.surrogate(x) - expected), `f(${x})`).toBeLessThanOrEqual(
          FLOAT64_TOLERANCE * Math.max(1, Math.abs(expected)),
        );
      }
    }
  });

  it('equals them as tfjs operations in float32', () => {
    const result = estimator.gradient(tf.tensor1d(z), tf.ones([z.length])).dataSync();
    for (const [i, x] of z.entries()) {
      expect(Math.abs(result[i]! - estimator.factor(Math.fround(x))), `s(${x})`).toBeLessThanOrEqual(
        FLOAT32_TOLERANCE * scale,
      );
    }
  });
});

it('EDE and FDA follow their schedules', () => {
  for (const { epoch, epochs, tmin, tmax, t } of golden.schedules.ede_t)
    expect(edeT(epoch, epochs, tmin, tmax)).toBeCloseTo(t, 11);
  for (const { epoch, epochs, n } of golden.schedules.fda_n) expect(fdaTerms(epoch, epochs)).toBe(n);
});
