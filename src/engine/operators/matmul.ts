/** Products of computed matrices, in plain loops: rare and small in packed files. */

import { broadcastShapes, elementCount } from '../../core/tensors/shape.ts';
import { BnnError } from '../../errors.ts';
import type { StepContext } from '../step.ts';

/** Vectors are matrices of one row or one column; the axes before the last two broadcast. */
export function multiply(context: StepContext): void {
  const { engine, at, shape } = context;
  const [a, b] = [context.input(0), context.input(1)];
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  const [rows = 0, inner = 0] = left.slice(-2);
  const columns = right.at(-1) ?? 0;
  const stack = broadcastShapes(left.slice(0, -2), right.slice(0, -2));
  if (stack === undefined || right.at(-2) !== inner || rows * columns * elementCount(stack) !== elementCount(shape)) {
    throw new BnnError('E_SHAPE', `MatMul of [${a.shape.join(', ')}] by [${b.shape.join(', ')}]`, { at });
  }
  const leftAt = matrixOffsets(left.slice(0, -2), stack, rows * inner);
  const rightAt = matrixOffsets(right.slice(0, -2), stack, inner * columns);
  const y = context.output();
  context.run(() => {
    const p = engine.floats(a.pointer(), elementCount(a.shape));
    const q = engine.floats(b.pointer(), elementCount(b.shape));
    const out = engine.floats(y.pointer(), elementCount(shape));
    for (const [m, from] of leftAt.entries()) {
      const other = rightAt[m] ?? 0;
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          let sum = 0;
          for (let k = 0; k < inner; k++) {
            sum += (p[from + i * inner + k] ?? Number.NaN) * (q[other + k * columns + j] ?? Number.NaN);
          }
          out[(m * rows + i) * columns + j] = sum;
        }
      }
    }
  });
}

/** Where each matrix of a broadcast stack begins. */
function matrixOffsets(from: readonly number[], to: readonly number[], size: number): number[] {
  let offsets = [0];
  let step = elementCount(from);
  const padded = [...to.map(() => 1), ...from].slice(-to.length);
  for (const [axis, count] of to.entries()) {
    const own = padded[axis] ?? 1;
    step /= own;
    const stride = own === 1 ? 0 : step;
    offsets = offsets.flatMap((offset) => Array.from({ length: count }, (_, i) => offset + i * stride));
  }
  return offsets.map((offset) => offset * size);
}
