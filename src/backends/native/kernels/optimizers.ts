/**
 * Parameter updates, in the form PyTorch defines them. Inputs of one kernel have the same shape; results are new tensors.
 *
 * - `BnnSgdMomentum` {param, grad, velocity}, {lr, momentum, weightDecay, nesterov?} → [param', velocity']:
 *   g = grad + weightDecay · param, v' = momentum · v + g, p' = p − lr · (nesterov ? g + momentum · v' : v').
 * - `BnnAdam` {param, grad, m, v}, {lr, beta1, beta2, epsilon, weightDecay, decoupled, step} → [param', m', v']; step counts from 1;
 *   decoupled selects AdamW's weight decay.
 */

import type * as tf from '@tensorflow/tfjs-core';
import { BnnError } from '../../../errors.ts';
import type { NativeBackend } from '../backend.ts';
import { type Attributes, addKernel, type Inputs } from './kernel.ts';
import { requireFloats, requireNumber, requireSameSize } from './required.ts';

function sgdMomentum(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo[] {
  const name = 'BnnSgdMomentum';
  const param = requireFloats(backend, name, inputs, 'param');
  const grad = requireSameSize(backend, name, inputs, 'grad', param);
  const velocity = requireSameSize(backend, name, inputs, 'velocity', param);
  const lr = requireNumber(name, attrs, 'lr');
  const momentum = requireNumber(name, attrs, 'momentum');
  const weightDecay = requireNumber(name, attrs, 'weightDecay');
  const nesterov = attrs['nesterov'] === true;
  const [newParam, newVelocity] = [backend.allocate(param.values.length), backend.allocate(param.values.length)];
  backend.addon.sgdMomentum(
    ...([param.values, grad.values, velocity.values, newParam, newVelocity] as const),
    ...([lr, momentum, weightDecay, nesterov] as const),
  );
  return [backend.store(newParam, param.shape), backend.store(newVelocity, param.shape)];
}

function adam(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo[] {
  const name = 'BnnAdam';
  const param = requireFloats(backend, name, inputs, 'param');
  const grad = requireSameSize(backend, name, inputs, 'grad', param);
  const m = requireSameSize(backend, name, inputs, 'm', param);
  const v = requireSameSize(backend, name, inputs, 'v', param);
  const number = (attribute: string): number => requireNumber(name, attrs, attribute);
  const step = number('step');
  if (step < 1) throw new BnnError('E_USAGE', `${name}: step is ${step}, expected a count from 1`);
  const settings = [number('lr'), number('beta1'), number('beta2'), number('epsilon'), number('weightDecay')] as const;
  const size = param.values.length;
  const [newParam, newM, newV] = [backend.allocate(size), backend.allocate(size), backend.allocate(size)];
  backend.addon.adam(
    ...([param.values, grad.values, m.values, v.values, newParam, newM, newV] as const),
    ...settings,
    step,
    attrs['decoupled'] === true,
  );
  return [newParam, newM, newV].map((values) => backend.store(values, param.shape));
}

export function registerOptimizers(): void {
  addKernel('BnnSgdMomentum', sgdMomentum);
  addKernel('BnnAdam', adam);
}
