/** Batch normalization (see `kernels/batch-norm.ts`). The scale is one number. */

import type * as tf from '@tensorflow/tfjs-core';
import type { NormAttributes } from '../../../kernels/batch-norm.ts';
import { dispatch, FLAT_HEAD, flatGroups } from '../dispatch.ts';
import type { WebgpuBackend } from '../webgpu-backend.ts';
import { columnSums } from './column-sums.ts';
import { allocate, literal, type Own, type OwnKernels, sizeOf } from './kernel.ts';

interface Normalized {
  readonly x: tf.TensorInfo;
  readonly gamma: tf.TensorInfo;
  readonly scale?: tf.TensorInfo | undefined;
}

interface NormCase {
  readonly x: tf.TensorInfo;
  readonly gamma: tf.TensorInfo;
  readonly size: number;
  readonly rows: number;
  readonly channels: number;
  /** The scale as an input of a shader, where there is one. */
  readonly scale: Readonly<Record<string, tf.TensorInfo>>;
  /** WGSL that assigns z = scale · x and r from the element `v` of x. */
  readonly rectified: string;
  /** WGSL of 1/√(variance + epsilon), for the channel c. */
  readonly inverse: string;
  readonly relu: boolean;
}

function normCase({ x, gamma, scale }: Normalized, { relu, epsilon }: NormAttributes): NormCase {
  if (scale !== undefined && sizeOf(scale) !== 1) throw new Error('internal: the scale must be one number');
  const channels = x.shape.at(-1) ?? 1;
  const z = scale === undefined ? 'v' : 'v * scale[0]';
  return {
    x,
    gamma,
    size: sizeOf(x),
    rows: sizeOf(x) / channels,
    channels,
    scale: scale === undefined ? {} : { scale },
    rectified: `let z = ${z}; let r = ${relu ? 'max(z, 0.0)' : 'z'};`,
    inverse: `1.0 / sqrt(variance[c] + ${literal(epsilon)})`,
    relu,
  };
}

/** y = gamma · (r − mean) / √(variance + epsilon) + beta, and the residual added where there is one. */
function normalize(
  backend: WebgpuBackend,
  { x, gamma, size, channels, scale, rectified, inverse }: NormCase,
  beta: tf.TensorInfo,
  mean: tf.TensorInfo,
  variance: tf.TensorInfo,
  residual: tf.TensorInfo | undefined,
): tf.TensorInfo {
  const y = allocate(backend, x.shape);
  dispatch(backend, {
    label: 'normalize',
    code: `${FLAT_HEAD}
  if (i >= p.size) { return; }
  let c = i % ${channels}u;
  let v = x[i];
  ${rectified}
  y[i] = (r - mean[c]) * (gamma[c] * (${inverse})) + beta[c]${residual === undefined ? '' : ' + residual[i]'};
}`,
    inputs: { x, gamma, beta, mean, variance, ...scale, ...(residual !== undefined && { residual }) },
    outputs: { y },
    numbers: { size: ['u32', size] },
    groups: flatGroups(size),
  });
  return y;
}

const train: Own<'BnnBatchNormTrain'> = (backend, inputs, attrs) => {
  const c = normCase(inputs, attrs);
  const { keep } = attrs;
  const [mean, variance, newMean, newVariance] = [0, 1, 2, 3].map(() => allocate(backend, [c.channels])) as [
    tf.TensorInfo,
    tf.TensorInfo,
    tf.TensorInfo,
    tf.TensorInfo,
  ];
  // Sums of r − k and (r − k)² lose little when k is a sample of the channel: mean and deviation are then of the same order.
  const shift = `let first = x[c]; var k: f32; { let v = first; ${c.rectified} k = r; }`;
  columnSums(backend, {
    label: 'batch norm',
    rows: c.rows,
    channels: c.channels,
    inputs: { x: c.x, ...c.scale },
    prologue: shift,
    terms: `let v = x[i]; ${c.rectified} let d = r - k; t0 = d; t1 = d * d;`,
    count: 2,
    outputs: { mean, variance, new_mean: newMean, new_variance: newVariance },
    finishInputs: {
      ...{ x: c.x, ...c.scale },
      old_mean: inputs.runningMean,
      old_variance: inputs.runningVariance,
    },
    finish: `${shift}
    let m = k + s0 / n;
    let v2 = max((s1 - s0 * (s0 / n)) / n, 0.0);
    mean[c] = m;
    variance[c] = v2;
    new_mean[c] = ${literal(keep)} * old_mean[c] + ${literal(1 - keep)} * m;
    new_variance[c] = ${literal(keep)} * old_variance[c] + ${literal(1 - keep)} * (n / max(n - 1.0, 1.0)) * v2;`,
  });
  const y = normalize(backend, c, inputs.beta, mean, variance, inputs.residual);
  return [y, mean, variance, newMean, newVariance];
};

const grad: Own<'BnnBatchNormGrad'> = (backend, inputs, attrs) => {
  const c = normCase(inputs, attrs);
  const { dy, mean, variance, scale } = inputs;
  const [dgamma, dbeta] = [allocate(backend, [c.channels]), allocate(backend, [c.channels])];
  columnSums(backend, {
    label: 'gradient of batch norm',
    rows: c.rows,
    channels: c.channels,
    inputs: { x: c.x, dy, mean, variance, ...c.scale },
    prologue: `let centre = mean[c]; let inverse = ${c.inverse};`,
    terms: `let v = x[i]; ${c.rectified} let g = dy[i]; t0 = g; t1 = g * ((r - centre) * inverse);`,
    count: 2,
    outputs: { dbeta, dgamma },
    finish: 'dbeta[c] = s0; dgamma[c] = s1;',
  });
  const dx = allocate(backend, c.x.shape);
  const hasScale = scale !== undefined;
  const dz = c.relu ? 'select(0.0, dr, z > 0.0)' : 'dr';
  const [x0, y0] = flatGroups(c.size);
  const terms = hasScale ? allocate(backend, [x0 * y0]) : null;
  dispatch(backend, {
    label: 'gradient of batch norm',
    code: `
${hasScale ? 'var<workgroup> products: array<f32, 256>;' : ''}
${FLAT_HEAD}
  var product = 0.0;
  if (i < p.size) {
    let c = i % ${c.channels}u;
    let v = x[i];
    ${c.rectified}
    let inverse = ${c.inverse};
    let normalized = (r - mean[c]) * inverse;
    let dr = gamma[c] * inverse * (dy[i] - (dbeta[c] + normalized * dgamma[c]) / p.rows);
    let dz = ${dz};
    dx[i] = ${hasScale ? 'dz * scale[0]' : 'dz'};
    product = dz * v;
  }
  ${hasScale ? treeSum('products', 'product', 'terms[wid.y * groups.x + wid.x]') : ''}
}`,
    inputs: { x: c.x, dy, gamma: c.gamma, mean, variance, dgamma, dbeta, ...c.scale },
    outputs: terms === null ? { dx } : { dx, terms },
    numbers: { size: ['u32', c.size], rows: ['f32', c.rows] },
    groups: [x0, y0, 1],
  });
  if (terms === null || scale === undefined) return [dx, dgamma, dbeta];
  const dscale = allocate(backend, scale.shape);
  dispatch(backend, {
    label: 'gradient of scale',
    code: `
var<workgroup> products: array<f32, 256>;
@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lid: u32) {
  var product = 0.0;
  for (var i = lid; i < p.count; i += 256u) { product += terms[i]; }
  ${treeSum('products', 'product', 'dscale[0]')}
}`,
    inputs: { terms },
    outputs: { dscale },
    numbers: { count: ['u32', x0 * y0] },
    groups: [1, 1, 1],
  });
  backend.disposeData(terms.dataId);
  return [dx, dgamma, dbeta, dscale];
};

/** WGSL that adds `value` over the 256 invocations of a group and has one of them write the sum. */
function treeSum(array: string, value: string, target: string): string {
  return `${array}[lid] = ${value};
  for (var half = 128u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lid < half) { ${array}[lid] += ${array}[lid + half]; }
  }
  if (lid == 0u) { ${target} = ${array}[0]; }`;
}

const infer: Own<'BnnBatchNormInfer'> = (backend, inputs, attrs) => {
  const { beta, mean, variance, residual } = inputs;
  return normalize(backend, normCase(inputs, attrs), beta, mean, variance, residual);
};

export const BATCH_NORM_KERNELS = {
  BnnBatchNormTrain: train,
  BnnBatchNormInfer: infer,
  BnnBatchNormGrad: grad,
} satisfies OwnKernels;
