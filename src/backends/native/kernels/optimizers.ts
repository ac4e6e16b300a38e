/** Steps of optimizers. */

import type * as tf from '@tensorflow/tfjs-core';
import { BnnError } from '../../../errors.ts';
import type { NativeBackend } from '../backend.ts';
import type { Attributes, Inputs, OwnKernels } from './kernel.ts';
import { requireFloats, requireNumber, requireSameSize } from './required.ts';

function sgdMomentum(backend: NativeBackend, inputs: Inputs, attrs: Attributes): [tf.TensorInfo, tf.TensorInfo] {
  const name = 'BnnSgdMomentum';
  const param = requireFloats(backend, name, inputs, 'param');
  const grad = requireSameSize(backend, name, inputs, 'grad', param);
  const velocity = requireSameSize(backend, name, inputs, 'velocity', param);
  const lr = requireNumber(name, attrs, 'lr');
  const momentum = requireNumber(name, attrs, 'momentum');
  const weightDecay = requireNumber(name, attrs, 'weightDecay');
  const [newParam, newVelocity] = [backend.allocate(param.values.length), backend.allocate(param.values.length)];
  backend.addon.sgdMomentum(
    ...([param.values, grad.values, velocity.values, newParam, newVelocity] as const),
    ...([lr, momentum, weightDecay] as const),
  );
  return [backend.store(newParam, param.shape), backend.store(newVelocity, param.shape)];
}

function adam(
  backend: NativeBackend,
  inputs: Inputs,
  attrs: Attributes,
): [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo] {
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
  return [backend.store(newParam, param.shape), backend.store(newM, param.shape), backend.store(newV, param.shape)];
}

export const OPTIMIZER_KERNELS = {
  BnnSgdMomentum: sgdMomentum,
  BnnAdam: adam,
} satisfies OwnKernels;
