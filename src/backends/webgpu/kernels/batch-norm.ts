/** Batch normalization (see `kernels/batch-norm.ts`). The scale is one number. */

import type * as tf from '@tensorflow/tfjs-core';
import type { NormAttributes } from '../../../kernels/batch-norm.ts';
import { dispatch, type Element, FLAT_HEAD, flatGroups } from '../dispatch.ts';
import { keepForm, keptForm, WORD_BITS } from '../kept-forms.ts';
import { FROM_SHORTS } from '../short-sums.ts';
import type { WebgpuBackend } from '../webgpu-backend.ts';
import { columnSums } from './column-sums.ts';
import { allocate, literal, type Own, type OwnKernels, sizeOf } from './kernel.ts';
import { nibbleOf, PACKING, packCode, packsSigns } from './pack-signs.ts';

interface Normalized {
  readonly x: tf.TensorInfo;
  readonly gamma: tf.TensorInfo;
  readonly scale?: tf.TensorInfo | undefined;
}

/** How x is read: as it is, or as integers of 16 bits. */
interface Read {
  readonly data: tf.TensorInfo;
  readonly shape: number[];
  readonly declarations: string;
  /** Of vectors of four channels, or of one number; and WGSL of the i-th of them. */
  readonly vectors: Element;
  readonly vector: string;
  readonly numbers: Element;
  readonly number: (i: string) => string;
}

function readOf(backend: WebgpuBackend, x: tf.TensorInfo): Read {
  const shorts = keptForm(backend, x.dataId, 'shorts');
  return shorts === null
    ? {
        ...{ data: x, shape: x.shape, declarations: '' },
        ...{ vectors: 'vec4<f32>', vector: 'x[i]', numbers: 'f32', number: (i) => `x[${i}]` },
      }
    : {
        ...{ data: shorts, shape: x.shape, declarations: FROM_SHORTS },
        ...{ vectors: 'vec2<u32>', vector: 'from_shorts(x[i])' },
        ...{ numbers: 'u32', number: (i) => `from_short(x[(${i}) / 2u], ${i})` },
      };
}

interface NormCase {
  readonly x: Read;
  readonly gamma: tf.TensorInfo;
  readonly size: number;
  readonly rows: number;
  readonly channels: number;
  /** The scale as an input of a shader, where there is one. */
  readonly scale: Readonly<Record<string, tf.TensorInfo>>;
  /** WGSL that assigns z = scale · x and r from the element `v` of x; knows `zero`, of the type of v. */
  readonly rectified: string;
  /** WGSL of 1/√(variance + epsilon), for the channel c. */
  readonly inverse: string;
  readonly relu: boolean;
}

function normCase(
  backend: WebgpuBackend,
  { x, gamma, scale }: Normalized,
  { relu, epsilon }: NormAttributes,
): NormCase {
  if (scale !== undefined && sizeOf(scale) !== 1) throw new Error('internal: the scale must be one number');
  const channels = x.shape.at(-1) ?? 1;
  const z = scale === undefined ? 'v' : 'v * scale[0]';
  return {
    x: readOf(backend, x),
    gamma,
    size: sizeOf(x),
    rows: sizeOf(x) / channels,
    channels,
    scale: scale === undefined ? {} : { scale },
    rectified: `let z = ${z}; let r = ${relu ? 'max(z, zero)' : 'z'};`,
    inverse: `1.0 / sqrt(variance[c] + ${literal(epsilon)})`,
    relu,
  };
}

/** How threads share the elements: four channels each where their number allows it. */
interface Width {
  readonly lanes: 1 | 4;
  readonly element: 'f32' | 'vec4<f32>';
  readonly zero: string;
  readonly ofX: Element;
  /** WGSL of the i-th of x. */
  readonly v: string;
}

function widthOf({ channels, x }: NormCase): Width {
  return channels % 4 === 0
    ? { lanes: 4, element: 'vec4<f32>', zero: 'vec4<f32>()', ofX: x.vectors, v: x.vector }
    : { lanes: 1, element: 'f32', zero: '0.0', ofX: x.numbers, v: x.number('i') };
}

/** y = gamma · (r − mean) / √(variance + epsilon) + beta, and the residual added where there is one. */
function normalize(
  backend: WebgpuBackend,
  norm: NormCase,
  beta: tf.TensorInfo,
  mean: tf.TensorInfo,
  variance: tf.TensorInfo,
  residual: tf.TensorInfo | undefined,
  areSignsRead: boolean,
): tf.TensorInfo {
  const { x, gamma, size, channels, scale, rectified, inverse } = norm;
  const { lanes, element, zero, ofX, v } = widthOf(norm);
  const y = allocate(backend, x.shape);
  const packs = areSignsRead && x.shape.length === 4 && packsSigns(channels);
  const signs = packs ? allocate(backend, [size / Math.min(channels, WORD_BITS)]) : null;
  const wide = { gamma, beta, mean, variance, ...(residual !== undefined && { residual }) };
  dispatch(backend, {
    label: 'normalize',
    code: `${x.declarations}${signs === null ? '' : PACKING}
${FLAT_HEAD}
  ${signs === null ? '' : 'var nibble = 0u;'}
  if (i < p.count) {
    let c = i % ${channels / lanes}u;
    let v = ${v};
    let zero = ${zero};
    ${rectified}
    let result = (r - mean[c]) * (gamma[c] * (${inverse})) + beta[c]${residual === undefined ? '' : ' + residual[i]'};
    y[i] = result;
    ${signs === null ? '' : `nibble = ${nibbleOf('result')};`}
  }
  ${signs === null ? '' : packCode(channels)}
}`,
    inputs: { x: x.data, ...wide, ...scale },
    outputs: { y, ...(signs !== null && { signs }) },
    elements: {
      x: ofX,
      ...Object.fromEntries([...Object.keys(wide), 'y'].map((name) => [name, element])),
      signs: 'u32',
    },
    numbers: { count: ['u32', size / lanes] },
    groups: flatGroups(size / lanes),
  });
  if (signs !== null) keepForm(backend, y, 'signs', signs);
  return y;
}

/** Sums of r − k and (r − k)² lose little when k is a sample of the channel: mean and deviation are then of the same order. */
const SHIFT = ({ rectified, x }: NormCase) =>
  `let zero = 0.0; let first = ${x.number('c')}; var k: f32; { let v = first; ${rectified} k = r; }`;

const train: Own<'BnnBatchNormTrain'> = (backend, inputs, attrs) => {
  const c = normCase(backend, inputs, attrs);
  const { keep } = attrs;
  const [mean, variance, newMean, newVariance] = [0, 1, 2, 3].map(() => allocate(backend, [c.channels])) as [
    tf.TensorInfo,
    tf.TensorInfo,
    tf.TensorInfo,
    tf.TensorInfo,
  ];
  const shift = allocate(backend, [c.channels]);
  columnSums(backend, {
    label: 'batch norm',
    rows: c.rows,
    channels: c.channels,
    inputs: { x: c.x.data, ...c.scale },
    elements: { x: c.x.numbers },
    declarations: c.x.declarations,
    prologue: SHIFT(c),
    early: { outputs: { shift }, code: 'shift[c] = k;' },
    terms: `let v = ${c.x.number('i')}; ${c.rectified} let d = r - k; t0 = d; t1 = d * d;`,
    count: 2,
    outputs: { mean, variance, new_mean: newMean, new_variance: newVariance },
    finishInputs: {
      shift,
      old_mean: inputs.runningMean,
      old_variance: inputs.runningVariance,
    },
    finish: `
    let m = shift[c] + s0 / n;
    let v2 = max((s1 - s0 * (s0 / n)) / n, 0.0);
    mean[c] = m;
    variance[c] = v2;
    new_mean[c] = ${literal(keep)} * old_mean[c] + ${literal(1 - keep)} * m;
    new_variance[c] = ${literal(keep)} * old_variance[c] + ${literal(1 - keep)} * (n / max(n - 1.0, 1.0)) * v2;`,
  });
  backend.disposeData(shift.dataId);
  const y = normalize(backend, c, inputs.beta, mean, variance, inputs.residual, attrs.areSignsRead === true);
  return [y, mean, variance, newMean, newVariance];
};

/**
 * With the standardized r̂ = (r − mean) / √(variance + epsilon) the gradient of r is
 *
 *     dr = gamma / √(…) · (dy − (dbeta + r̂ · dgamma) / n) = a · dy + b + d · (r − mean),
 *
 * with numbers a, b, d of a channel. That of the scale is Σ dz · x = Σ r · dr / scale, since x · scale is r wherever dz is not 0, and
 * follows from sums of a channel: Σ r · dr = a · Σ r·dy + b · Σ r + d · Σ r·(r − mean).
 */
const grad: Own<'BnnBatchNormGrad'> = (backend, inputs, attrs) => {
  const c = normCase(backend, inputs, attrs);
  const { dy, mean, variance, scale } = inputs;
  const hasScale = scale !== undefined;
  const [dgamma, dbeta] = [allocate(backend, [c.channels]), allocate(backend, [c.channels])];
  const factors = allocate(backend, [4, c.channels]);
  const shares = hasScale ? allocate(backend, [c.channels]) : null;
  columnSums(backend, {
    label: 'gradient of batch norm',
    rows: c.rows,
    channels: c.channels,
    inputs: { x: c.x.data, dy, mean, variance, ...c.scale },
    elements: { x: c.x.numbers },
    declarations: c.x.declarations,
    prologue: `let zero = 0.0; let centre = mean[c]; let inverse = ${c.inverse};`,
    terms: `let v = ${c.x.number('i')}; ${c.rectified} let g = dy[i]; let d = r - centre; t0 = g; t1 = g * (d * inverse);${hasScale ? ' t2 = d; t3 = d * d;' : ''}`,
    count: hasScale ? 4 : 2,
    outputs: { dbeta, dgamma, factors, ...(shares !== null && { shares }) },
    finishInputs: { gamma: c.gamma, mean, variance },
    finish: `dbeta[c] = s0; dgamma[c] = s1;
    let inverse = ${c.inverse};
    let a = gamma[c] * inverse;
    let b = -a * s0 / n;
    let d = -a * inverse * s1 / n;
    factors[c] = a;
    factors[${c.channels}u + c] = b;
    factors[${2 * c.channels}u + c] = d;
    factors[${3 * c.channels}u + c] = mean[c];
    ${hasScale ? `shares[c] = a * (s1 / inverse + mean[c] * s0) + b * (s2 + mean[c] * n) + d * (s3 + mean[c] * s2);` : ''}`,
  });
  const { lanes, element, zero, ofX, v } = widthOf(c);
  const dx = allocate(backend, c.x.shape);
  const dscale = hasScale ? allocate(backend, scale.shape) : null;
  const channel = c.channels / lanes;
  dispatch(backend, {
    label: 'gradient of batch norm',
    code: `${c.x.declarations}
${hasScale ? 'var<workgroup> products: array<f32, 256>;' : ''}
${FLAT_HEAD}
  if (i < p.count) {
    let c = i % ${channel}u;
    let v = ${v};
    let zero = ${zero};
    ${c.rectified}
    let dr = factors[c] * dy[i] + (factors[${channel}u + c] + factors[${2 * channel}u + c] * (r - factors[${3 * channel}u + c]));
    let dz = ${c.relu ? 'select(zero, dr, z > zero)' : 'dr'};
    dx[i] = ${hasScale ? 'dz * scale[0]' : 'dz'};
  }
${dscale === null ? '' : totalOfShares(c.channels)}
}`,
    inputs: { x: c.x.data, dy, factors, ...(shares !== null && { shares }), ...c.scale },
    outputs: dscale === null ? { dx } : { dx, dscale },
    elements: { x: ofX, ...Object.fromEntries(['dy', 'factors', 'dx'].map((name) => [name, element])) },
    numbers: { count: ['u32', c.size / lanes] },
    groups: flatGroups(c.size / lanes),
  });
  for (const t of [factors, shares]) if (t !== null) backend.disposeData(t.dataId);
  return dscale === null ? [dx, dgamma, dbeta] : [dx, dgamma, dbeta, dscale];
};

/** WGSL by which the first group adds the shares of the channels and divides by the scale. */
function totalOfShares(channels: number): string {
  return `  if (wid.x == 0u && wid.y == 0u) {
    var product = 0.0;
    for (var k = lid; k < ${channels}u; k += 256u) { product += shares[k]; }
    products[lid] = product;
    for (var half = 128u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lid < half) { products[lid] += products[lid + half]; }
    }
    // A scale of 0 has made everything 0.
    if (lid == 0u) { dscale[0] = select(products[0] / scale[0], 0.0, scale[0] == 0.0); }
  }`;
}

const infer: Own<'BnnBatchNormInfer'> = (backend, inputs, attrs) => {
  const { beta, mean, variance, residual } = inputs;
  const norm = normCase(backend, inputs, attrs);
  return normalize(backend, norm, beta, mean, variance, residual, attrs.areSignsRead === true);
};

export const BATCH_NORM_KERNELS = {
  BnnBatchNormTrain: train,
  BnnBatchNormInfer: infer,
  BnnBatchNormGrad: grad,
} satisfies OwnKernels;
