/** Products by matrix units: all of the kernels but the instruction itself, which `matrix-stand-in.ts` writes out. */

import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type MatrixUnits, setMatrixUnits } from '../../../src/backends/webgpu/matrix-units.ts';
import { run } from '../../../src/kernels/run.ts';
import { normal, type Values, worstOf } from '../compare-kernels.ts';
import { describeWebgpu, webgpu } from './device.ts';
import { standIn } from './matrix-stand-in.ts';

const NVIDIA = standIn(16, 16, 16, 32);
const OTHER = standIn(8, 16, 8, 64);
const pairs = (top: number, bottom: number, left: number, right: number) => [
  [0, 0],
  [top, bottom],
  [left, right],
  [0, 0],
];

const CASES = [
  // Two tiles beside each other, and four matrices for each subgroup.
  { name: '3×3', units: NVIDIA, x: [2, 7, 6, 70], filter: [3, 3, 70, 33], stride: 1, pad: 'same' },
  {
    name: '3×3 stride 2, uneven padding',
    units: OTHER,
    x: [2, 9, 7, 40],
    filter: [3, 3, 40, 33],
    stride: 2,
    pad: pairs(2, 1, 0, 1),
  },
] as const;

/** Gradients as in training, of sizes far below 1. */
function gradients({ filter: filterShape, x: shape, stride, pad }: Omit<(typeof CASES)[number], 'units' | 'name'>) {
  const strides: [number, number] = [stride, stride];
  const { outShape } = tf.backend_util.computeConv2DInfo([...shape], [...filterShape], strides, 1, pad as 'same');
  const filter = tf.tidy(() => run('BnnSign', { x: asTensor(normal(filterShape, 2)) }));
  const x = asTensor(normal(shape));
  const dy = tf.tidy(() => tf.mul(asTensor(normal(outShape, 3)), 1e-7));
  const attributes = {
    ...{ strides, pad, dataFormat: 'NHWC', dilations: [1, 1], dimRoundingMode: undefined },
    ...{ estimator: 'ste', clip: 1, filterShape },
  } as never;
  const dx = run('BnnBinaryConvInputGrad', { dy, filter, x }, attributes);
  const dfilter = run('BnnBinaryConvFilterGrad', { x, dy }, attributes);
  return { dx, dfilter, all: [filter, x, dy, dx, dfilter] };
}

const asTensor = ({ values, shape }: Values) => tf.tensor(values, [...shape]);
const read = async (t: tf.Tensor): Promise<Values> => ({ shape: t.shape, values: (await t.data()) as Float32Array });

function backend() {
  if (!webgpu.ok) throw new Error('unreachable');
  return webgpu.value.backend;
}

async function withUnits<T>(units: MatrixUnits | null, work: () => Promise<T>): Promise<T> {
  setMatrixUnits(backend(), units);
  try {
    return await work();
  } finally {
    setMatrixUnits(backend(), null);
  }
}

describeWebgpu('products of a gradient with signs by matrix units', () => {
  beforeEach(() => tf.setBackend('webgpu'));
  afterEach(() => vi.restoreAllMocks());

  it.each(CASES)('$name: both gradients are those of the ordinary kernels', async ({ units, ...sizes }) => {
    const both = async () => {
      const { dx, dfilter, all } = gradients(sizes);
      const result = [await read(dx), await read(dfilter)];
      tf.dispose(all);
      return result;
    };
    const want = await both();
    const modules = vi.spyOn(backend().device, 'createShaderModule');
    const before = tf.memory().numTensors;
    const got = await withUnits(units, both);
    expect(tf.memory().numTensors).toBe(before);
    const labels = modules.mock.calls.map(([{ code }]) => code.split('\n')[0]);
    expect(labels).toEqual(
      expect.arrayContaining(['// input gradient, matrix units', '// filter gradient, matrix units']),
    );
    expect(got).not.toEqual(want);
    // 22 bits of each number, float32 of each sum.
    expect(worstOf(got, want)).toBeLessThan(5e-7);
  });

  it('each number keeps 22 bits, from the largest to one 2²⁸ times smaller', async () => {
    const pixels = 64;
    const values = normal([1, 8, 8, 1]).values.map((v, i) => (Math.sin(v) + 3) * 2 ** ((-28 * i) / pixels) * 1e-20);
    const dy = tf.tensor4d(values, [1, 8, 8, 1]);
    const filter = tf.tidy(() => run('BnnSign', { x: asTensor(normal([1, 1, 32, 1])) }));
    const x = tf.zeros([1, 8, 8, 32]);
    const signs = (await filter.data()) as Float32Array;
    const attrs = { strides: [1, 1], pad: 'valid', dataFormat: 'NHWC', dilations: [1, 1], dimRoundingMode: undefined };
    const dx = await withUnits(NVIDIA, () =>
      read(run('BnnBinaryConvInputGrad', { dy, filter, x }, { ...attrs, estimator: 'ste', clip: 1 } as never)),
    );
    const errors = Array.from(dx.values, (got, i) => {
      const want = (values[Math.floor(i / 32)] ?? Number.NaN) * (signs[i % 32] ?? Number.NaN);
      return Math.abs(got - want) / Math.abs(want);
    });
    expect(Math.max(...errors)).toBeLessThanOrEqual(2 ** -22);
    // One float16 would keep 11.
    expect(Math.max(...errors)).toBeGreaterThan(2 ** -26);
    tf.dispose([dy, filter, x]);
  });
});
