/**
 * Batch normalisation over all axes but the last, with an optional scale and rectifier before it:
 *
 *     z = scale · x,  r = relu ? max(z, 0) : z,  y = gamma · (r − mean) / √(variance + epsilon) + beta
 *
 * - `BnnBatchNormTrain` {x, gamma, beta, scale?} → [y, mean, variance]; the variance is biased.
 * - `BnnBatchNormInfer` {x, gamma, beta, mean, variance, scale?} → y.
 * - `BnnBatchNormAddTrain`, `BnnBatchNormAddInfer`: the same with {residual}, of the shape of x, added to y.
 * - `BnnBatchNormGrad` {x, dy, gamma, mean, variance, scale?} → [dx, dgamma, dbeta] or, with scale, [dx, dgamma, dbeta, dscale];
 *   gradients go through the batch statistics, relu'(0) = 0.
 *
 * - `BnnMovingAverage` {average, now}, of the same shape, attributes {keep, take} → keep · average + take · now.
 *
 * Attributes of the others {epsilon, relu}. scale is a scalar or one number per channel; dscale has its shape.
 */

import type * as tf from '@tensorflow/tfjs-core';
import { BnnError } from '../../../errors.ts';
import type { NativeBackend } from '../backend.ts';
import { type Attributes, addKernel, type FloatInput, floatInput, type Inputs, result } from './kernel.ts';
import { requireFloats, requireNumber, requireSameSize } from './required.ts';

interface NormCase {
  readonly x: FloatInput;
  readonly channels: number;
  readonly epsilon: number;
  readonly relu: boolean;
  /** The scale per channel; ones without a scale. */
  readonly scale: Float32Array;
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

function scaleVector(kernel: string, scale: FloatInput | undefined, channels: number): Float32Array {
  if (scale === undefined) return new Float32Array(channels).fill(1);
  if (scale.values.length === 1) return new Float32Array(channels).fill(scale.values[0] ?? Number.NaN);
  return perChannel(kernel, 'scale', scale, channels);
}

function normCase(backend: NativeBackend, kernel: string, inputs: Inputs, attrs: Attributes): NormCase {
  const x = requireFloats(backend, kernel, inputs, 'x');
  const channels = x.shape[x.shape.length - 1];
  if (channels === undefined) throw new BnnError('E_SHAPE', `${kernel}: input x is a scalar, expected [..., channels]`);
  const scaleInput = floatInput(backend, inputs['scale']);
  return {
    x,
    channels,
    epsilon: requireNumber(kernel, attrs, 'epsilon'),
    relu: attrs['relu'] === true,
    scale: scaleVector(kernel, scaleInput, channels),
    scaleInput,
    vector: (name) => perChannel(kernel, name, requireFloats(backend, kernel, inputs, name), channels),
  };
}

/** The elements of the input `residual`; null where the kernel has none. */
function residualOf(kernel: string, backend: NativeBackend, inputs: Inputs, x: FloatInput): Float32Array | null {
  if (!kernel.includes('Add')) return null;
  const { shape, values } = requireFloats(backend, kernel, inputs, 'residual');
  if (shape.join() === x.shape.join()) return values;
  throw new BnnError('E_SHAPE', `${kernel}: residual is [${shape.join(', ')}], expected [${x.shape.join(', ')}]`);
}

function train(kernel: string, backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo[] {
  const c = normCase(backend, kernel, inputs, attrs);
  const residual = residualOf(kernel, backend, inputs, c.x);
  const gamma = c.vector('gamma');
  const beta = c.vector('beta');
  const y = backend.allocate(c.x.values.length);
  const mean = backend.allocate(c.channels);
  const variance = backend.allocate(c.channels);
  backend.addon.batchNormTrain(c.x.values, c.scale, gamma, beta, y, mean, variance, c.epsilon, c.relu, residual);
  return [backend.store(y, c.x.shape), backend.store(mean, [c.channels]), backend.store(variance, [c.channels])];
}

function infer(kernel: string, backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo {
  const c = normCase(backend, kernel, inputs, attrs);
  const residual = residualOf(kernel, backend, inputs, c.x);
  const [gamma, beta, mean, variance] = [c.vector('gamma'), c.vector('beta'), c.vector('mean'), c.vector('variance')];
  const y = backend.allocate(c.x.values.length);
  backend.addon.batchNormInfer(c.x.values, c.scale, gamma, beta, mean, variance, y, c.epsilon, c.relu, residual);
  return backend.store(y, c.x.shape);
}

function grad(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo[] {
  const kernel = 'BnnBatchNormGrad';
  const c = normCase(backend, kernel, inputs, attrs);
  const dy = requireFloats(backend, kernel, inputs, 'dy');
  if (dy.values.length !== c.x.values.length) {
    throw new BnnError('E_SHAPE', `${kernel}: dy is [${dy.shape.join(', ')}], expected [${c.x.shape.join(', ')}]`);
  }
  const [gamma, mean, variance] = [c.vector('gamma'), c.vector('mean'), c.vector('variance')];
  const dx = backend.allocate(c.x.values.length);
  const dgamma = backend.allocate(c.channels);
  const dbeta = backend.allocate(c.channels);
  const sums = c.scaleInput === undefined ? null : new Float64Array(c.channels);
  backend.addon.batchNormGrad(
    ...([c.x.values, dy.values, c.scale, gamma, mean, variance, dx, dgamma, dbeta, sums] as const),
    c.epsilon,
    c.relu,
  );
  const outputs = [
    backend.store(dx, c.x.shape),
    backend.store(dgamma, [c.channels]),
    backend.store(dbeta, [c.channels]),
  ];
  if (c.scaleInput !== undefined && sums !== null) outputs.push(scaleGrad(backend, c.scaleInput, sums));
  return outputs;
}

function scaleGrad(backend: NativeBackend, scale: FloatInput, sums: Float64Array): tf.TensorInfo {
  const dscale = backend.allocate(scale.values.length);
  if (dscale.length === sums.length) dscale.set(sums);
  else dscale[0] = sums.reduce((total, sum) => total + sum, 0);
  return backend.store(dscale, scale.shape);
}

/** Per channel, so few numbers that a loop here costs less than a call; rounded as separate operations are. */
function movingAverage(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo {
  const kernel = 'BnnMovingAverage';
  const average = requireFloats(backend, kernel, inputs, 'average');
  const { values } = requireSameSize(backend, kernel, inputs, 'now', average);
  const keep = Math.fround(requireNumber(kernel, attrs, 'keep'));
  const take = Math.fround(requireNumber(kernel, attrs, 'take'));
  return result(backend, average.shape, (moved) => {
    for (let i = 0; i < moved.length; i++) {
      moved[i] = Math.fround(keep * (average.values[i] ?? 0)) + Math.fround(take * (values[i] ?? 0));
    }
  });
}

export function registerBatchNorm(): void {
  for (const name of ['BnnBatchNormTrain', 'BnnBatchNormAddTrain']) addKernel(name, (...call) => train(name, ...call));
  for (const name of ['BnnBatchNormInfer', 'BnnBatchNormAddInfer']) addKernel(name, (...call) => infer(name, ...call));
  addKernel('BnnBatchNormGrad', grad);
  addKernel('BnnMovingAverage', movingAverage);
}
