/** Kernels that compute every element on its own: bnn.Sign, the estimators' gradients, optimizer steps; and the mean of magnitudes. */

import type * as tf from '@tensorflow/tfjs-core';
import type { Slope } from '../../../kernels/sign.ts';
import type { StepNumbers } from '../../step-recorder.ts';
import { type Dispatch, dispatch, type Element, FLAT_HEAD, flatGroups, type Numbers } from '../dispatch.ts';
import { dispatchPiece } from '../grouped-dispatch.ts';
import { keepForm } from '../kept-forms.ts';
import type { WebgpuBackend } from '../webgpu-backend.ts';
import { columnSums } from './column-sums.ts';
import { allocate, type Own, type OwnKernels, sizeOf } from './kernel.ts';
import { packSigns } from './pack-signs.ts';
import { slopeOf } from './slope.ts';

type GradientInfos = { readonly x: tf.TensorInfo; readonly dy: tf.TensorInfo };

interface Elementwise<Outputs extends readonly string[]> {
  readonly label: string;
  /** All of one size. */
  readonly inputs: Readonly<Record<string, tf.TensorInfo>>;
  readonly outputs: Outputs;
  /** WGSL for each element: knows the inputs' elements by name and assigns to `out_<name>` for each output. */
  readonly body: string;
  readonly numbers?: Numbers;
  readonly varying?: Dispatch['varying'];
  /** Of any size. */
  readonly tables?: Readonly<Record<string, tf.TensorInfo>>;
}

/** WGSL of the elements `at` of the arrays: of vectors of four, one after the other. */
function elementsCode(
  inputs: readonly string[],
  outputs: readonly string[],
  body: string,
  lanes: 1 | 4,
  suffix = '',
): string {
  if (lanes === 1) {
    return [
      ...inputs.map((name) => `  let ${name} = from_${name}${suffix}[i];`),
      ...outputs.map((name) => `  var out_${name}: f32;`),
      `  ${body}`,
      ...outputs.map((name) => `  to_${name}${suffix}[i] = out_${name};`),
    ].join('\n');
  }
  return [
    ...inputs.map((name) => `  let four_${name} = from_${name}${suffix}[i];`),
    ...outputs.map((name) => `  var four_out_${name}: vec4<f32>;`),
    '  for (var lane = 0u; lane < 4u; lane++) {',
    ...inputs.map((name) => `  let ${name} = four_${name}[lane];`),
    ...outputs.map((name) => `  var out_${name}: f32;`),
    `  ${body}`,
    ...outputs.map((name) => `  four_out_${name}[lane] = out_${name};`),
    '  }',
    ...outputs.map((name) => `  to_${name}${suffix}[i] = four_out_${name};`),
  ].join('\n');
}

/** How many elements a thread computes. */
function lanesOf(size: number): 1 | 4 {
  return size % 4 === 0 ? 4 : 1;
}

/** Types of the arrays that elements are read from and written to. */
function vectors(inputs: readonly string[], outputs: readonly string[], lanes: 1 | 4): Record<string, Element> {
  const names = [...inputs.map((name) => `from_${name}`), ...outputs.map((name) => `to_${name}`)];
  return lanes === 1 ? {} : Object.fromEntries(names.map((name) => [name, 'vec4<f32>']));
}

function elementwise<const Outputs extends readonly string[]>(
  backend: WebgpuBackend,
  { label, inputs, outputs: outputNames, body, numbers, varying, tables }: Elementwise<Outputs>,
): { -readonly [K in keyof Outputs]: tf.TensorInfo } {
  const [first] = Object.values(inputs);
  if (first === undefined) throw new Error('internal: a kernel without inputs');
  const size = sizeOf(first);
  const outputs = outputNames.map((name) => [`to_${name}`, allocate(backend, first.shape)] as const);
  const lanes = lanesOf(size);
  const names = Object.keys(inputs);
  dispatch(backend, {
    label,
    code: `${FLAT_HEAD}  if (i >= p.size) { return; }\n${elementsCode(names, outputNames, body, lanes)}\n}`,
    inputs: {
      ...Object.fromEntries(Object.entries(inputs).map(([name, input]) => [`from_${name}`, input])),
      ...tables,
    },
    outputs: Object.fromEntries(outputs),
    elements: vectors(names, outputNames, lanes),
    numbers: { size: ['u32', size / lanes], ...numbers },
    varying,
    groups: flatGroups(size / lanes),
  });
  return outputs.map(([, output]) => output) as { -readonly [K in keyof Outputs]: tf.TensorInfo };
}

function floats(values: Readonly<Record<string, number>>): Numbers {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, ['f32', value]]));
}

function signGrad(backend: WebgpuBackend, { x, dy }: GradientInfos, slope: Slope): tf.TensorInfo {
  const { code, numbers, inputs: tables } = slopeOf(backend, slope);
  const body = `${code}\n  out_dx = dy * s;`;
  return elementwise(backend, {
    label: 'gradient of sign',
    inputs: { x, dy },
    outputs: ['dx'],
    body,
    numbers,
    tables,
  })[0];
}

/** Numbers that one group of threads adds; for more, several groups are faster. */
const MOST_OF_ONE_GROUP = 2 ** 16;

const meanMagnitude: Own<'BnnMeanMagnitude'> = (backend, { x }) => {
  const mean = allocate(backend, []);
  if (sizeOf(x) > MOST_OF_ONE_GROUP) {
    columnSums(backend, {
      label: 'mean magnitude',
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
  dispatchPiece(backend, {
    label: 'mean magnitude',
    inputs: { x },
    outputs: { mean },
    declarations: 'var<workgroup> magnitudes: array<f32, 256>;',
    code: `  let size = arrayLength(&x_#);
  var sum = 0.0;
  for (var i = lid; i < size; i += 256u) { sum += abs(x_#[i]); }
  magnitudes[lid] = sum;
  for (var half = 128u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lid < half) { magnitudes[lid] += magnitudes[lid + half]; }
  }
  if (lid == 0u) { mean_#[0] = magnitudes[0] / f32(size); }`,
    groupsCode: '1u',
    groups: 1,
  });
  return mean;
};

/** A piece that computes each element of its outputs from those of its inputs; names as for `elementwise`, and `count` is how many there are. */
function elementwisePiece<const Outputs extends readonly string[]>(
  backend: WebgpuBackend,
  { label, inputs, outputs: outputNames, body, numbers, varying, tables = {} }: Elementwise<Outputs>,
): { -readonly [K in keyof Outputs]: tf.TensorInfo } {
  const [first] = Object.entries(inputs);
  if (first === undefined) throw new Error('internal: a kernel without inputs');
  const [firstName, { shape }] = first;
  const outputs = outputNames.map((name) => [`to_${name}`, allocate(backend, shape)] as const);
  const lanes = lanesOf(sizeOf(first[1]));
  const names = Object.keys(inputs);
  const size = `arrayLength(&from_${firstName}_#)`;
  dispatchPiece(backend, {
    label,
    inputs: {
      ...Object.fromEntries(Object.entries(inputs).map(([name, input]) => [`from_${name}`, input])),
      ...tables,
    },
    outputs: Object.fromEntries(outputs),
    code: `  let i = group * 256u + lid;
  if (i >= ${size}) { return; }
  let count = f32(${lanes}u * ${size});
${elementsCode(names, outputNames, body, lanes, '_#')}`,
    elements: vectors(names, outputNames, lanes),
    groupsCode: `((${size} + 255u) / 256u)`,
    groups: Math.ceil(sizeOf(first[1]) / lanes / 256),
    ...(numbers !== undefined && { numbers }),
    varying,
  });
  return outputs.map(([, output]) => output) as { -readonly [K in keyof Outputs]: tf.TensorInfo };
}

const meanMagnitudeGrad: Own<'BnnMeanMagnitudeGrad'> = (backend, { x, dy, sum }) =>
  elementwisePiece(backend, {
    label: 'gradient of mean magnitude',
    inputs: { x, ...(sum !== undefined && { sum }) },
    outputs: ['dx'],
    body: `out_dx = sign(x) * (dy_#[0] / count)${sum === undefined ? '' : ' + sum'};`,
    tables: { dy },
  })[0];

const sgdMomentum: Own<'BnnSgdMomentum'> = (backend, { param, grad, velocity }, { lr, momentum, weightDecay }) =>
  elementwisePiece(backend, {
    label: 'sgd',
    inputs: { param, grad, velocity },
    outputs: ['param', 'v'],
    body: `let g = grad + p.weightDecay * param;
  out_v = p.momentum * velocity + g;
  out_param = param - p.lr * out_v;`,
    numbers: floats({ lr, momentum, weightDecay }),
    varying: { key: '', at: ({ lr }) => ({ lr }) },
  });

const adam: Own<'BnnAdam'> = (backend, inputs, { lr, step, ...attributes }) => {
  const { beta1, beta2, epsilon, weightDecay, decoupled } = attributes;
  const ofStep = ({ lr, step }: StepNumbers) => ({
    kept: decoupled ? 1 - lr * weightDecay : 1,
    stepSize: lr / (1 - beta1 ** step),
    correction: 1 / (1 - beta2 ** step),
  });
  return elementwisePiece(backend, {
    label: 'adam',
    inputs: { param: inputs.param, grad: inputs.grad, m: inputs.m, v: inputs.v },
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
      epsilon,
      ...ofStep({ lr, step }),
    }),
    varying: { key: JSON.stringify(attributes), at: ofStep },
  });
};

const sign: Own<'BnnSign'> = (backend, { x }) =>
  x.shape.length === 4
    ? signAndBits(backend, x)
    : elementwise(backend, {
        label: 'sign',
        inputs: { x },
        outputs: ['y'],
        body: 'out_y = select(-1.0, 1.0, x >= 0.0);',
      })[0];

/** Signs of filters [KH, KW, C, O], with their bits beside them: u32[KH · KW][words of C][O]. */
function signAndBits(backend: WebgpuBackend, x: tf.TensorInfo): tf.TensorInfo {
  const [height = 1, width = 1, channels = 1, columns = 1] = x.shape;
  const y = allocate(backend, x.shape);
  const packed = packSigns(backend, x, { rows: height * width, channels, columns }, y);
  keepForm(backend, y, 'filter signs', packed);
  return y;
}

export const ELEMENTWISE_KERNELS = {
  BnnSign: sign,
  BnnSignGrad: signGrad,
  BnnSignGradTable: signGrad,
  BnnMeanMagnitude: meanMagnitude,
  BnnMeanMagnitudeGrad: meanMagnitudeGrad,
  BnnSgdMomentum: sgdMomentum,
  BnnAdam: adam,
} satisfies OwnKernels;
