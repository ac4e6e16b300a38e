/** Kernels that compute every element on its own: bnn.Sign, the estimators' gradients, optimizer steps. */

import type * as tf from '@tensorflow/tfjs-core';
import type { StepNumbers } from '../../step-recorder.ts';
import type { WebgpuBackend } from '../device.ts';
import { type Dispatch, dispatch, FLAT_HEAD, flatGroups } from '../dispatch.ts';
import {
  type Attributes,
  allocate,
  type Inputs,
  literal,
  numberOf,
  registerKernel,
  required,
  sizeOf,
} from './kernel.ts';

/**
 * Runs `body` for every element, with the inputs' elements as variables of their names; it assigns to `out_<name>` for each output.
 */
function elementwise(
  backend: WebgpuBackend,
  inputs: Readonly<Record<string, tf.TensorInfo>>,
  outputNames: readonly string[],
  body: string,
  settings: Readonly<Record<string, number>> = {},
  varying?: Dispatch['varying'],
): tf.TensorInfo[] {
  const [first] = Object.values(inputs);
  if (first === undefined) throw new Error('internal: a kernel without inputs');
  const size = sizeOf(first);
  const outputs = outputNames.map((name) => [`to_${name}`, allocate(backend, first.shape)] as const);
  const reads = Object.keys(inputs).map((name) => `  let ${name} = from_${name}[i];`);
  const writes = outputNames.map((name) => `  to_${name}[i] = out_${name};`);
  const variables = outputNames.map((name) => `  var out_${name}: f32;`);
  dispatch(backend, {
    code: `${FLAT_HEAD}  if (i >= p.size) { return; }\n${[...reads, ...variables].join('\n')}\n${body}\n${writes.join('\n')}\n}`,
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, input]) => [`from_${name}`, input])),
    outputs: Object.fromEntries(outputs),
    numbers: {
      size: ['u32', size],
      ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, ['f32', value] as const])),
    },
    varying,
    groups: flatGroups(size),
  });
  return outputs.map(([, output]) => output);
}

/** s(x) of an estimator as WGSL that assigns to `s`, from its attributes (see the kernels of the same name under native/). */
function slopeCode(attrs: Attributes): string {
  if (attrs['estimator'] === 'ste') {
    const clip = numberOf(attrs, 'clip');
    return clip === Infinity ? 'let s = 1.0;' : `let s = select(0.0, 1.0, abs(x) <= ${literal(clip)});`;
  }
  if (attrs['estimator'] !== 'reste') throw new Error(`internal: unknown estimator ${String(attrs['estimator'])}`);
  const [o, t, m] = [numberOf(attrs, 'o'), numberOf(attrs, 't'), numberOf(attrs, 'm')];
  if (o === 1) return `let s = select(0.0, 1.0, abs(x) <= ${literal(t)});`;
  const power = (1 - o) / o;
  // The float32 m only decides which branch is taken; its slope is that of the decimal number that the user gave.
  const innerSlope = Number(m.toPrecision(7)) ** power;
  return `
  let a = abs(x);
  let curve = select(pow(max(a, ${literal(m)}), ${literal(power)}) * ${literal(1 / o)}, ${literal(innerSlope)}, a <= ${literal(m)});
  let s = select(0.0, curve, a <= ${literal(t)});`;
}

function sgdMomentum(backend: WebgpuBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo[] {
  const [param, grad, velocity] = [required(inputs, 'param'), required(inputs, 'grad'), required(inputs, 'velocity')];
  const step = attrs['nesterov'] === true ? 'g + p.momentum * out_v' : 'out_v';
  return elementwise(
    backend,
    { param, grad, velocity },
    ['param', 'v'],
    `let g = grad + p.weightDecay * param;
  out_v = p.momentum * velocity + g;
  out_param = param - p.lr * (${step});`,
    {
      lr: numberOf(attrs, 'lr'),
      momentum: numberOf(attrs, 'momentum'),
      weightDecay: numberOf(attrs, 'weightDecay'),
    },
    ({ lr }) => ({ lr }),
  );
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
  return elementwise(
    backend,
    {
      param: required(inputs, 'param'),
      grad: required(inputs, 'grad'),
      m: required(inputs, 'm'),
      v: required(inputs, 'v'),
    },
    ['param', 'm', 'v'],
    `let g = grad + p.coupledDecay * param;
  out_m = p.beta1 * m + p.rest1 * g;
  out_v = p.beta2 * v + p.rest2 * (g * g);
  out_param = param * p.kept - p.stepSize * out_m / (sqrt(out_v * p.correction) + p.epsilon);`,
    {
      beta1,
      rest1: 1 - beta1,
      beta2,
      rest2: 1 - beta2,
      coupledDecay: decoupled ? 0 : weightDecay,
      ...ofStep({ lr: numberOf(attrs, 'lr'), step: numberOf(attrs, 'step') }),
      epsilon: numberOf(attrs, 'epsilon'),
    },
    ofStep,
  );
}

export function registerElementwise(): void {
  registerKernel('BnnSign', (backend, inputs) => {
    const [y] = elementwise(backend, { x: required(inputs, 'x') }, ['y'], '  out_y = select(-1.0, 1.0, x >= 0.0);');
    return y;
  });
  registerKernel('BnnSignGrad', (backend, inputs, attrs) => {
    const [x, dy] = [required(inputs, 'x'), required(inputs, 'dy')];
    const [dx] = elementwise(backend, { x, dy }, ['dx'], `${slopeCode(attrs)}\n  out_dx = dy * s;`);
    return dx;
  });
  registerKernel('BnnSgdMomentum', sgdMomentum);
  registerKernel('BnnAdam', adam);
}
