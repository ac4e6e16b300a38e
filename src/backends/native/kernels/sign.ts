/** bnn.Sign and the gradients that stand in for its derivative. */

import type * as tf from '@tensorflow/tfjs-core';
import { BnnError } from '../../../errors.ts';
import { UNARY_OPS } from '../addon-codes.ts';
import type { NativeBackend } from '../backend.ts';
import { unary } from './elementwise.ts';
import { type Attributes, type Inputs, type OwnKernels, result } from './kernel.ts';
import { requireFloats, requireNumber, requireSameSize, requireTable } from './required.ts';

function signGrad(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo {
  const name = 'BnnSignGrad';
  const x = requireFloats(backend, name, inputs, 'x');
  const dy = requireSameSize(backend, name, inputs, 'dy', x);
  const estimator = attrs['estimator'];
  if (estimator === 'ste') {
    const clip = requireNumber(name, attrs, 'clip');
    return result(backend, x.shape, (dx) => backend.addon.signGradSte(x.values, dy.values, clip, dx));
  }
  if (estimator === 'reste') {
    const o = requireNumber(name, attrs, 'o');
    const t = requireNumber(name, attrs, 't');
    const m = requireNumber(name, attrs, 'm');
    if (!(o >= 1)) throw new BnnError('E_USAGE', `${name}: o is ${o}, expected a number from 1 on`);
    return result(backend, x.shape, (dx) => backend.addon.signGradReste(x.values, dy.values, o, t, m, dx));
  }
  throw new BnnError('E_USAGE', `${name}: estimator is ${String(estimator)}, expected 'ste' or 'reste'`);
}

function signGradTable(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo {
  const name = 'BnnSignGradTable';
  const x = requireFloats(backend, name, inputs, 'x');
  const dy = requireSameSize(backend, name, inputs, 'dy', x);
  const table = requireTable(name, attrs);
  return result(backend, x.shape, (dx) => backend.addon.signGradTable(x.values, dy.values, ...table, dx));
}

function signGradDsq(backend: NativeBackend, inputs: Inputs, attrs: Attributes): [tf.TensorInfo, tf.TensorInfo] {
  const name = 'BnnSignGradDsq';
  const x = requireFloats(backend, name, inputs, 'x');
  const dy = requireSameSize(backend, name, inputs, 'dy', x);
  const alpha = requireNumber(name, attrs, 'alpha');
  let gradient = 0;
  const dx = result(backend, x.shape, (values) => {
    gradient = backend.addon.signGradDsq(x.values, dy.values, alpha, values);
  });
  return [dx, result(backend, [], (values) => values.fill(gradient))];
}

export const SIGN_KERNELS = {
  BnnSign: (backend, inputs) => unary(backend, UNARY_OPS.sign, requireFloats(backend, 'BnnSign', inputs, 'x')),
  BnnSignGrad: signGrad,
  BnnSignGradTable: signGradTable,
  BnnSignGradDsq: signGradDsq,
} satisfies OwnKernels;
