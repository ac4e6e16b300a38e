/** Operators that move elements, and those along one axis. */

import { elementCount, normalizeAxis } from '../../core/tensors/shape.ts';
import { toNumbers } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import type { Operator, StepContext } from '../step.ts';

const view: Operator = (context) => context.view(0);

/** By a constant; rows of the last axis are copied whole. */
const pad: Operator = (context) => {
  const { node, engine, at } = context;
  if (node.string('mode', 'constant') !== 'constant') {
    throw new BnnError('E_UNSUPPORTED', `Pad in mode ${node.string('mode', '')}`, { at });
  }
  const x = context.input(0);
  const amounts = context.constant(1);
  const pads = amounts === undefined ? node.ints('pads', []) : toNumbers(amounts);
  const fill = context.constant(2);
  const value = fill === undefined ? node.float('value', 0) : (toNumbers(fill)[0] ?? 0);
  const rank = x.shape.length;
  if (pads.length !== 2 * rank || context.inputs.length > 3) {
    throw new BnnError('E_UNSUPPORTED', `Pad by ${pads.length} amounts, expected ${2 * rank}`, { at });
  }
  const y = context.output();
  const copies = rowCopies(x.shape, context.shape, pads.slice(0, rank));
  const [from, to] = [elementCount(x.shape), elementCount(context.shape)];
  context.run(() => {
    const source = engine.floats(x.pointer(), from);
    const target = engine.floats(y.pointer(), to).fill(value);
    for (const { at: place, begin, end } of copies) target.set(source.subarray(begin, end), place);
  });
};

interface RowCopy {
  readonly at: number;
  readonly begin: number;
  readonly end: number;
}

/** Rows that follow one another in both tensors become one copy. */
function addCopy(copies: RowCopy[], copy: RowCopy): void {
  const before = copies.at(-1);
  if (before === undefined || before.end !== copy.begin || before.at + before.end - before.begin !== copy.at) {
    copies.push(copy);
    return;
  }
  copies[copies.length - 1] = { ...before, end: copy.end };
}

/** Which elements of which rows (of the last axis) of x stand where in y, when y begins `before` elements earlier on each axis. */
function rowCopies(x: readonly number[], y: readonly number[], before: readonly number[]): RowCopy[] {
  const last = x.length - 1;
  const width = x[last] ?? 1;
  const shift = before[last] ?? 0;
  const first = Math.max(0, -shift);
  const until = Math.min(width, (y[last] ?? 1) - shift);
  const copies: RowCopy[] = [];
  const coordinates = x.slice(0, last).map(() => 0);
  const rows = elementCount(x.slice(0, last));
  for (let row = 0; row < rows && first < until; row++) {
    let place = 0;
    let isInside = true;
    for (let axis = 0; axis < last; axis++) {
      const at = (coordinates[axis] ?? 0) + (before[axis] ?? 0);
      isInside &&= at >= 0 && at < (y[axis] ?? 1);
      place = place * (y[axis] ?? 1) + at;
    }
    const begin = row * width;
    if (isInside)
      addCopy(copies, { at: place * (y[last] ?? 1) + shift + first, begin: begin + first, end: begin + until });
    for (let axis = last - 1; axis >= 0; axis--) {
      coordinates[axis] = (coordinates[axis] ?? 0) + 1;
      if ((coordinates[axis] ?? 0) < (x[axis] ?? 1)) break;
      coordinates[axis] = 0;
    }
  }
  return copies;
}

/** Along one axis; up to operator set 12 along all from that axis on. */
function softmax(isLog: boolean): Operator {
  return (context) => {
    const x = context.input(0);
    const axis = axisOf(context, context.opset < 13 ? 1 : -1);
    const isFlat = context.opset < 13;
    const size = isFlat ? elementCount(x.shape.slice(axis)) : (x.shape[axis] ?? 1);
    const inner = isFlat ? 1 : elementCount(x.shape.slice(axis + 1));
    const count = elementCount(x.shape);
    const y = context.output();
    context.run(() => {
      const from = context.engine.floats(x.pointer(), count);
      const to = context.engine.floats(y.pointer(), count);
      for (let outer = 0; outer < count; outer += size * inner) {
        for (let i = outer; i < outer + inner; i++) softmaxOf(from, to, i, size, inner, isLog);
      }
    });
  };
}

function softmaxOf(
  from: Float32Array,
  to: Float32Array,
  begin: number,
  size: number,
  stride: number,
  isLog: boolean,
): void {
  let most = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < size; k++) most = Math.max(most, from[begin + k * stride] ?? 0);
  let sum = 0;
  for (let k = 0; k < size; k++) sum += Math.exp((from[begin + k * stride] ?? 0) - most);
  for (let k = 0; k < size; k++) {
    const shifted = (from[begin + k * stride] ?? 0) - most;
    to[begin + k * stride] = isLog ? shifted - Math.log(sum) : Math.exp(shifted) / sum;
  }
}

function axisOf({ node, at, input }: StepContext, fallback: number): number {
  const { shape } = input(0);
  const axis = normalizeAxis(node.int('axis', fallback), shape.length);
  if (axis === undefined) {
    throw new BnnError('E_SHAPE', `axis ${node.int('axis', fallback)} of a tensor of rank ${shape.length}`, { at });
  }
  return axis;
}

export const MOVEMENT: ReadonlyMap<string, Operator> = new Map([
  ['Identity', view],
  ['Dropout', view],
  ['Flatten', view],
  ['Reshape', view],
  ['Squeeze', view],
  ['Unsqueeze', view],
  ['Pad', pad],
  ['Softmax', softmax(false)],
  ['LogSoftmax', softmax(true)],
]);
