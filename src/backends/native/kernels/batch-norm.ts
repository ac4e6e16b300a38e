/** Batch normalization (see `kernels/batch-norm.ts`). */

import type * as tf from '@tensorflow/tfjs-core';
import { BnnError } from '../../../errors.ts';
import type { NativeBackend } from '../backend.ts';
import { type Attributes, type FloatInput, floatInput, type Inputs, type OwnKernels } from './kernel.ts';
import { requireFloats, requireNumber } from './required.ts';

interface NormCase {
  readonly x: FloatInput;
  readonly channels: number;
  readonly epsilon: number;
  readonly relu: boolean;
  /** One factor, or one for each channel; null without a scale. */
  readonly scale: Float32Array | null;
  readonly scaleInput: FloatInput | undefined;
  vector(name: string): Float32Array;
}

function perChannel(kernel: string, name: string, input: FloatInput, channels: number): Float32Array {
  if (input.values.length === channels) return input.values;
  throw new BnnError(
    'E_SHAPE',
    `${kernel}: input ${name} is [${input.shape.join(', ')}], expected one number for each of ${channels} channels`,
  );
}

function scaleFactors(kernel: string, scale: FloatInput | undefined, channels: number): Float32Array | null {
  if (scale === undefined) return null;
  return scale.values.length === 1 ? scale.values : perChannel(kernel, 'scale', scale, channels);
}

function normCase(backend: NativeBackend, kernel: string, inputs: Inputs, attrs: Attributes): NormCase {
  const x = requireFloats(backend, kernel, inputs, 'x');
  const channels = x.shape[x.shape.length - 1];
  if (channels === undefined) throw new BnnError('E_SHAPE', `${kernel}: input x is a scalar, expected [..., channels]`);
  const scaleInput = floatInput(backend, inputs['scale']);
  return {
    x,
    channels,
    // The moments need none.
    epsilon: attrs['epsilon'] === undefined ? 0 : requireNumber(kernel, attrs, 'epsilon'),
    relu: attrs['relu'] === true,
    scale: scaleFactors(kernel, scaleInput, channels),
    scaleInput,
    vector: (name) => perChannel(kernel, name, requireFloats(backend, kernel, inputs, name), channels),
  };
}

/** The elements of the input `residual`; null where there is none. */
function residualOf(kernel: string, backend: NativeBackend, inputs: Inputs, x: FloatInput): Float32Array | null {
  if (inputs['residual'] === undefined) return null;
  const { shape, values } = requireFloats(backend, kernel, inputs, 'residual');
  if (shape.join() === x.shape.join()) return values;
  throw new BnnError('E_SHAPE', `${kernel}: residual is [${shape.join(', ')}], expected [${x.shape.join(', ')}]`);
}

type TrainResults = [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo, tf.TensorInfo, tf.TensorInfo];

function train(backend: NativeBackend, inputs: Inputs, attrs: Attributes): TrainResults {
  const kernel = 'BnnBatchNormTrain';
  const c = normCase(backend, kernel, inputs, attrs);
  const residual = residualOf(kernel, backend, inputs, c.x);
  const gamma = c.vector('gamma');
  const beta = c.vector('beta');
  const y = backend.allocate(c.x.values.length);
  const mean = backend.allocate(c.channels);
  const variance = backend.allocate(c.channels);
  backend.addon.batchNormTrain(c.x.values, c.scale, gamma, beta, y, mean, variance, c.epsilon, c.relu, residual);
  const keep = requireNumber(kernel, attrs, 'keep');
  const count = c.x.values.length / c.channels;
  const unbias = count / Math.max(1, count - 1);
  const newMean = moved(backend, c.vector('runningMean'), mean, keep, 1 - keep);
  const newVariance = moved(backend, c.vector('runningVariance'), variance, keep, (1 - keep) * unbias);
  const store = (values: Float32Array): tf.TensorInfo => backend.store(values, [c.channels]);
  return [backend.store(y, c.x.shape), store(mean), store(variance), store(newMean), store(newVariance)];
}

/** keep · average + take · now. */
function moved(
  backend: NativeBackend,
  average: Float32Array,
  now: Float32Array,
  keep: number,
  take: number,
): Float32Array {
  const result = backend.allocate(now.length);
  backend.addon.moveAverage(average, now, keep, take, result);
  return result;
}

function infer(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo {
  const kernel = 'BnnBatchNormInfer';
  const c = normCase(backend, kernel, inputs, attrs);
  const residual = residualOf(kernel, backend, inputs, c.x);
  const [gamma, beta, mean, variance] = [c.vector('gamma'), c.vector('beta'), c.vector('mean'), c.vector('variance')];
  const y = backend.allocate(c.x.values.length);
  backend.addon.batchNormInfer(c.x.values, c.scale, gamma, beta, mean, variance, y, c.epsilon, c.relu, residual);
  return backend.store(y, c.x.shape);
}

type GradResults = [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo, dscale?: tf.TensorInfo];

/** The gradient of the output. */
function gradientOf(backend: NativeBackend, kernel: string, inputs: Inputs, { x }: NormCase): FloatInput {
  const dy = requireFloats(backend, kernel, inputs, 'dy');
  if (dy.values.length === x.values.length) return dy;
  throw new BnnError('E_SHAPE', `${kernel}: dy is [${dy.shape.join(', ')}], expected [${x.shape.join(', ')}]`);
}

function grad(backend: NativeBackend, inputs: Inputs, attrs: Attributes): GradResults {
  const kernel = 'BnnBatchNormGrad';
  const c = normCase(backend, kernel, inputs, attrs);
  const dy = gradientOf(backend, kernel, inputs, c);
  const [gamma, mean, variance] = [c.vector('gamma'), c.vector('mean'), c.vector('variance')];
  const dx = backend.allocate(c.x.values.length);
  const dgamma = backend.allocate(c.channels);
  const dbeta = backend.allocate(c.channels);
  const dscale = scaleGradient(backend, c);
  backend.addon.batchNormGrad(
    ...([c.x.values, dy.values, c.scale, gamma, mean, variance, dx, dgamma, dbeta, dscale] as const),
    c.epsilon,
    c.relu,
  );
  const outputs: GradResults = [
    backend.store(dx, c.x.shape),
    backend.store(dgamma, [c.channels]),
    backend.store(dbeta, [c.channels]),
  ];
  if (c.scaleInput !== undefined && dscale !== null) outputs.push(backend.store(dscale, c.scaleInput.shape));
  return outputs;
}

function moments(backend: NativeBackend, inputs: Inputs, attrs: Attributes): [tf.TensorInfo, tf.TensorInfo] {
  const c = normCase(backend, 'BnnBatchNormMoments', inputs, attrs);
  const [mean, variance] = [backend.allocate(c.channels), backend.allocate(c.channels)];
  backend.addon.batchNormMoments(c.x.values, c.scale, mean, variance, c.relu);
  return [backend.store(mean, [c.channels]), backend.store(variance, [c.channels])];
}

function gradSums(backend: NativeBackend, inputs: Inputs, attrs: Attributes): [tf.TensorInfo, tf.TensorInfo] {
  const kernel = 'BnnBatchNormGradSums';
  const c = normCase(backend, kernel, inputs, attrs);
  const dy = gradientOf(backend, kernel, inputs, c);
  const [dgamma, dbeta] = [backend.allocate(c.channels), backend.allocate(c.channels)];
  backend.addon.batchNormGradSums(
    ...([c.x.values, dy.values, c.scale, c.vector('mean'), c.vector('variance'), dgamma, dbeta] as const),
    c.epsilon,
    c.relu,
  );
  return [backend.store(dgamma, [c.channels]), backend.store(dbeta, [c.channels])];
}

function gradApply(backend: NativeBackend, inputs: Inputs, attrs: Attributes): [tf.TensorInfo, dscale?: tf.TensorInfo] {
  const kernel = 'BnnBatchNormGradApply';
  const c = normCase(backend, kernel, inputs, attrs);
  const dy = gradientOf(backend, kernel, inputs, c);
  const dx = backend.allocate(c.x.values.length);
  const dscale = scaleGradient(backend, c);
  backend.addon.batchNormGradApply(
    ...([c.x.values, dy.values, c.scale, c.vector('gamma'), c.vector('mean'), c.vector('variance')] as const),
    ...([c.vector('meanDgamma'), c.vector('meanDbeta'), dx, dscale, c.epsilon, c.relu] as const),
  );
  const result = backend.store(dx, c.x.shape);
  return c.scaleInput === undefined || dscale === null ? [result] : [result, backend.store(dscale, c.scaleInput.shape)];
}

/** Room for the gradient of the scale, where there is one. */
function scaleGradient(backend: NativeBackend, { scale }: NormCase): Float32Array | null {
  return scale === null ? null : backend.allocate(scale.length);
}

export const BATCH_NORM_KERNELS = {
  BnnBatchNormTrain: train,
  BnnBatchNormInfer: infer,
  BnnBatchNormGrad: grad,
  BnnBatchNormMoments: moments,
  BnnBatchNormGradSums: gradSums,
  BnnBatchNormGradApply: gradApply,
} satisfies OwnKernels;
