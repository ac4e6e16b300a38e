/** Kernels that compute every element on its own: bnn.Sign, the estimators' gradients, optimizer steps; and the mean of magnitudes. */

import type * as tf from '@tensorflow/tfjs-core';
import type { StepNumbers } from '../../step-recorder.ts';
import type { WebgpuBackend } from '../device.ts';
import { type Dispatch, dispatch, FLAT_HEAD, flatGroups, type Numbers } from '../dispatch.ts';
import { columnSums } from './column-sums.ts';
import { type Attributes, allocate, type Inputs, numberOf, registerKernel, required, sizeOf } from './kernel.ts';
import { slopeOf } from './slope.ts';

interface Elementwise {
  /** All of one size. */
  readonly inputs: Readonly<Record<string, tf.TensorInfo>>;
  readonly outputs: readonly string[];
  /** WGSL for each element: knows the inputs' elements by name and assigns to `out_<name>` for each output. */
  readonly body: string;
  readonly numbers?: Numbers;
  readonly varying?: Dispatch['varying'];
  /** Of any size. */
  readonly tables?: Readonly<Record<string, tf.TensorInfo>>;
}

function elementwise(
  backend: WebgpuBackend,
  { inputs, outputs: outputNames, body, numbers, varying, tables }: Elementwise,
): tf.TensorInfo[] {
  const [first] = Object.values(inputs);
  if (first === undefined) throw new Error('internal: a kernel without inputs');
  const size = sizeOf(first);
  const outputs = outputNames.map((name) => [`to_${name}`, allocate(backend, first.shape)] as const);
  const reads = Object.keys(inputs).map((name) => `  let ${name} = from_${name}[i];`);
  const writes = outputNames.map((name) => `  to_${name}[i] = out_${name};`);
  const variables = outputNames.map((name) => `  var out_${name}: f32;`);
  dispatch(backend, {
    code: `${FLAT_HEAD}  if (i >= p.size) { return; }\n${[...reads, ...variables].join('\n')}\n  ${body}\n${writes.join('\n')}\n}`,
    inputs: {
      ...Object.fromEntries(Object.entries(inputs).map(([name, input]) => [`from_${name}`, input])),
      ...tables,
    },
    outputs: Object.fromEntries(outputs),
    numbers: { size: ['u32', size], ...numbers },
    varying,
    groups: flatGroups(size),
  });
  return outputs.map(([, output]) => output);
}

function floats(values: Readonly<Record<string, number>>): Numbers {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, ['f32', value]]));
}

function signGrad(backend: WebgpuBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo | undefined {
  const { code, numbers, inputs: tables } = slopeOf(backend, attrs);
  const [x, dy] = [required(inputs, 'x'), required(inputs, 'dy')];
  const body = `${code}\n  out_dx = dy * s;`;
  return elementwise(backend, { inputs: { x, dy }, outputs: ['dx'], body, numbers, tables })[0];
}

function meanMagnitude(backend: WebgpuBackend, inputs: Inputs): tf.TensorInfo {
  const x = required(inputs, 'x');
  const mean = allocate(backend, []);
  columnSums(backend, {
    rows: sizeOf(x),
    channels: 1,
    inputs: { x },
    terms: 't0 = abs(x[i]);',
    count: 1,
    outputs: { mean },
    finish: 'mean[c] = s0 / n;',
  });
  return mean;
}

/** sign(x) · dy / n + sum, dy being one number. */
function meanMagnitudeGrad(backend: WebgpuBackend, inputs: Inputs): tf.TensorInfo | undefined {
  const [x, sum] = [required(inputs, 'x'), inputs['sum']];
  return elementwise(backend, {
    inputs: { x, ...(sum !== undefined && { sum }) },
    outputs: ['dx'],
    body: `out_dx = sign(x) * (dy[0] / p.count)${sum === undefined ? '' : ' + sum'};`,
    numbers: floats({ count: sizeOf(x) }),
    tables: { dy: required(inputs, 'dy') },
  })[0];
}

function sgdMomentum(backend: WebgpuBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo[] {
  const [param, grad, velocity] = [required(inputs, 'param'), required(inputs, 'grad'), required(inputs, 'velocity')];
  const step = attrs['nesterov'] === true ? 'g + p.momentum * out_v' : 'out_v';
  return elementwise(backend, {
    inputs: { param, grad, velocity },
    outputs: ['param', 'v'],
    body: `let g = grad + p.weightDecay * param;
  out_v = p.momentum * velocity + g;
  out_param = param - p.lr * (${step});`,
    numbers: floats({
      lr: numberOf(attrs, 'lr'),
      momentum: numberOf(attrs, 'momentum'),
      weightDecay: numberOf(attrs, 'weightDecay'),
    }),
    varying: ({ lr }) => ({ lr }),
  });
}

function adam(backend: WebgpuBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo[] {
  const [beta1, beta2, weightDecay] = [
    numberOf(attrs, 'beta1'),
    numberOf(attrs, 'beta2'),
    numberOf(attrs, 'weightDecay'),
  ];
  const decoupled = attrs['decoupled'] === true;
  const ofStep = ({ lr, step }: StepNumbers) => ({
    kept: decoupled ? 1 - lr * weightDecay : 1,
    stepSize: lr / (1 - beta1 ** step),
    correction: 1 / (1 - beta2 ** step),
  });
  return elementwise(backend, {
    inputs: {
      param: required(inputs, 'param'),
      grad: required(inputs, 'grad'),
      m: required(inputs, 'm'),
      v: required(inputs, 'v'),
    },
    outputs: ['param', 'm', 'v'],
    body: `let g = grad + p.coupledDecay * param;
  out_m = p.beta1 * m + p.rest1 * g;
  out_v = p.beta2 * v + p.rest2 * (g * g);
  out_param = param * p.kept - p.stepSize * out_m / (sqrt(out_v * p.correction) + p.epsilon);`,
    numbers: floats({
      beta1,
      rest1: 1 - beta1,
      beta2,
      rest2: 1 - beta2,
      coupledDecay: decoupled ? 0 : weightDecay,
      epsilon: numberOf(attrs, 'epsilon'),
      ...ofStep({ lr: numberOf(attrs, 'lr'), step: numberOf(attrs, 'step') }),
    }),
    varying: ofStep,
  });
}

export function registerElementwise(): void {
  registerKernel('BnnSign', (backend, inputs) => {
    const x = required(inputs, 'x');
    return elementwise(backend, { inputs: { x }, outputs: ['y'], body: 'out_y = select(-1.0, 1.0, x >= 0.0);' })[0];
  });
  registerKernel('BnnSignGrad', signGrad);
  registerKernel('BnnSignGradTable', signGrad);
  registerKernel('BnnMeanMagnitude', meanMagnitude);
  registerKernel('BnnMeanMagnitudeGrad', meanMagnitudeGrad);
  registerKernel('BnnSgdMomentum', sgdMomentum);
  registerKernel('BnnAdam', adam);
}
