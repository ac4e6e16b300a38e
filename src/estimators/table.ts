/** The estimators by name: what each is for, the fields of a recipe that shape it, and how it is made of them. */

import { type Fields, number, type ValuesOf } from '../core/field.ts';
import { adasteSchedule } from './adaste.ts';
import { approxSignSchedule } from './approx-sign.ts';
import { dsqSchedule } from './dsq.ts';
import { edeSchedule } from './ede.ts';
import type { EstimatorSchedule, SignRole } from './estimator.ts';
import { fdaSchedule } from './fda.ts';
import { LearnedDsq } from './learned-dsq.ts';
import { rbnnSchedule } from './rbnn.ts';
import { RESTE_M, RESTE_T, resteSchedule } from './reste.ts';
import { steSchedule } from './ste.ts';
import { swishSignSchedule } from './swish-sign.ts';

export interface EstimatorRow<N extends string = string, F extends Fields = Fields> {
  readonly name: N;
  /** The signs that it can stand behind. */
  readonly roles: readonly SignRole[];
  /** Of the recipe; rows may share one, and then have it of the same constant. */
  readonly fields: F;
  /** The method that it is a part of, and what of that is not here: of the method, it is the slope only. */
  readonly slopeOnly?: string;
  /** The slope depends on the layer or on the incoming gradient, so that `slopePeak` cannot scale it. */
  readonly hasNoOneSize?: true;
  create(values: ValuesOf<F>, role: SignRole): EstimatorSchedule;
}

const row = <const N extends string, const F extends Fields>(it: EstimatorRow<N, F>) => it;
const BOTH = ['weight', 'activation'] as const;

const DSQ_FIELDS = {
  dsqAlpha: number(0.2, 1e-6, 0.999, 'dsq: distance of the surrogate from a step; dsq-learned: at the start'),
};

/** In the order of the help. */
export const ESTIMATORS = [
  row({
    name: 'reste',
    roles: BOTH,
    fields: {
      oEnd: { ...number(3, 1, 1000, 'ReSTE: final power parameter o'), common: true },
      resteT: number(RESTE_T, 0, 1e6, 'ReSTE: no gradient beyond this'),
      resteM: number(RESTE_M, 1e-6, 1e6, 'ReSTE: constant slope below this'),
    },
    create: ({ oEnd, resteT, resteM }) => resteSchedule(oEnd, { t: resteT, m: resteM }),
  }),
  row({
    name: 'ste',
    roles: BOTH,
    fields: {
      steClip: number(1, 0, 1e6, 'ste: no gradient beyond this'),
      steClipWeights: number(0, 0, 1e6, 'ste: no gradient of weights beyond this; 0 = as for activations'),
    },
    create: ({ steClip, steClipWeights }, role) => steSchedule((role === 'weight' && steClipWeights) || steClip),
  }),
  row({ name: 'ste-identity', roles: BOTH, fields: {}, create: () => steSchedule(Infinity) }),
  row({ name: 'approx-sign', roles: BOTH, fields: {}, create: approxSignSchedule }),
  row({
    name: 'swish-sign',
    slopeOnly: 'BNN+, without its regularization of weights',
    roles: BOTH,
    fields: { swishBeta: number(5, 1e-3, 1e3, 'swish-sign: steepness') },
    create: ({ swishBeta }) => swishSignSchedule(swishBeta),
  }),
  row({
    name: 'ede',
    slopeOnly: 'IR-Net, whose standardized weights are weightTransform standardize',
    roles: BOTH,
    fields: {},
    create: edeSchedule,
  }),
  row({
    name: 'dsq',
    slopeOnly: 'DSQ, whose sharpness is learned (dsq-learned), and whose limits are as well',
    roles: BOTH,
    fields: DSQ_FIELDS,
    create: ({ dsqAlpha }) => dsqSchedule(dsqAlpha),
  }),
  row({
    name: 'dsq-learned',
    roles: BOTH,
    fields: DSQ_FIELDS,
    hasNoOneSize: true,
    create: ({ dsqAlpha }, role) => new LearnedDsq(role, dsqAlpha).schedule,
  }),
  row({
    name: 'fda',
    slopeOnly: 'FDA, without its noise adaptation',
    roles: BOTH,
    fields: {},
    create: fdaSchedule,
  }),
  row({
    name: 'rbnn',
    slopeOnly: 'RBNN, without its rotation of weights',
    roles: BOTH,
    fields: {},
    create: (_, role) => rbnnSchedule(role),
  }),
  row({
    name: 'adaste',
    slopeOnly: 'AdaSTE, whose map of weights is weightTransform adaste',
    roles: ['weight'],
    fields: {},
    hasNoOneSize: true,
    create: adasteSchedule,
  }),
] as const;

export type EstimatorName = (typeof ESTIMATORS)[number]['name'];

/** Those that can stand behind signs of this kind. */
export function estimatorsFor(role: SignRole): EstimatorName[] {
  return ESTIMATORS.filter(({ roles }: EstimatorRow) => roles.includes(role)).map(({ name }) => name);
}
