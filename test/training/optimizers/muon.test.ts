import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { Rng } from '../../../src/core/numbers/rng.ts';
import { muon, orthogonalize } from '../../../src/training/optimizers/muon.ts';

beforeAll(() => tf.setBackend('cpu'));

type Matrix = number[][];
const product = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)));
const transposed = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map((row) => row[j]!));
const rng = new Rng(2);
const draw = (rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, () => Array.from({ length: columns }, () => rng.normal()));

/** The published iteration in float64, without turning tall matrices. */
function reference(matrix: Matrix): Matrix {
  const norm = Math.hypot(...matrix.flat());
  let x = matrix.map((row) => row.map((v) => v / (norm + 1e-7)));
  for (let step = 0; step < 5; step++) {
    const square = product(x, transposed(x));
    const fourth = product(square, square);
    const polynomial = square.map((row, i) => row.map((v, j) => -4.775 * v + 2.0315 * fourth[i]![j]!));
    const moved = product(polynomial, x);
    x = x.map((row, i) => row.map((v, j) => 3.4445 * v + moved[i]![j]!));
  }
  return x;
}

describe('Muon', () => {
  it.each([
    [3, 5],
    [5, 3],
    [4, 4],
  ])('%i × %i: the iteration, and nearly orthogonal', (rows, columns) => {
    const matrix = draw(rows, columns);
    const found = orthogonalize(tf.tensor2d(matrix)).arraySync();
    const expected = reference(matrix).flat();
    for (const [i, value] of found.flat().entries()) expect(value).toBeCloseTo(expected[i]!, 4);
    // The trace of XᵀX is the sum of the squares of the singular values, each of 0.68² to 1.2².
    const squares = found.flat().reduce((sum, v) => sum + v * v, 0) / Math.min(rows, columns);
    expect(squares).toBeGreaterThan(0.45);
    expect(squares).toBeLessThan(1.5);
  });

  it('takes steps of momentum, of the size of those of Adam, and decays apart', () => {
    const [w, g, m] = [draw(6, 4), draw(6, 4), draw(6, 4)];
    const attributes = { lr: 0.02, momentum: 0.9, weightDecay: 0.1 };
    const at = (values: Matrix) => tf.tensor(values.flat(), [3, 2, 1, 4]);
    const [next, average] = muon(at(w), at(g), at(m), attributes);
    const moved = m.map((row, i) => row.map((v, j) => 0.9 * v + g[i]![j]!));
    const direction = reference(g.map((row, i) => row.map((v, j) => v + 0.9 * moved[i]![j]!)));
    const size = 0.2 * Math.sqrt(6);
    const expected = w.map((row, i) => row.map((v, j) => v - 0.02 * (size * direction[i]![j]! + 0.1 * v)));
    for (const [i, value] of average.dataSync().entries()) expect(value).toBeCloseTo(moved.flat()[i]!, 5);
    for (const [i, value] of next.dataSync().entries()) expect(value).toBeCloseTo(expected.flat()[i]!, 4);
    expect(next.shape).toEqual([3, 2, 1, 4]);
  });
});
