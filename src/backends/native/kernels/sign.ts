/**
 * `BnnSign` {x}: y = +1 where x ≥ 0, else −1 (also for NaN).
 *
 * `BnnSignGrad` {x, dy}, attributes {estimator: 'ste', clip} or {estimator: 'reste', o, t, m}: dx = dy · s(x).
 * - ste: s = 1 where |x| ≤ clip, else 0; clip may be Infinity.
 * - reste (arXiv:2308.06689): with a = |x|, p = (1 − o)/o: s = m^p for a ≤ m, a^p / o for m < a ≤ t, 0 beyond; o = 1: s = 1 up to t.
 *   t and m are rounded to float32 before they are compared.
 *
 * `BnnSignGradTable` {x, dy}, attributes {pieces, limit}: the same for an even s that over [0, limit] is made of straight pieces of
 * equal width, each a pair (value at its start, rise) in a Float32Array, and 0 beyond.
 *
 * `BnnSignGradDsq` {x, dy}, attribute alpha → [dx, a scalar]: the slope of DSQ as `estimators/learned-dsq.ts` has it, and the gradient of
 * its alpha.
 */

import type * as tf from '@tensorflow/tfjs-core';
import { BnnError } from '../../../errors.ts';
import { UNARY_OPS } from '../addon.ts';
import type { NativeBackend } from '../backend.ts';
import { unary } from './elementwise.ts';
import { type Attributes, addKernel, type Inputs, result } from './kernel.ts';
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

function signGradDsq(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo[] {
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

export function registerSign(): void {
  addKernel('BnnSign', (backend, inputs) =>
    unary(backend, UNARY_OPS.sign, requireFloats(backend, 'BnnSign', inputs, 'x')),
  );
  addKernel('BnnSignGrad', signGrad);
  addKernel('BnnSignGradTable', signGradTable);
  addKernel('BnnSignGradDsq', signGradDsq);
}
