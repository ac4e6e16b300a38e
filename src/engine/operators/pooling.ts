/** Pooling of planes. */

import { BnnError } from '../../errors.ts';
import type { Pointer } from '../engine-module.ts';
import type { Operator, StepContext } from '../step.ts';
import { windowOf } from './float-layers.ts';

const MOST_WINDOW = 2 ** 16;

interface Pool {
  readonly planes: number;
  /** As `Window` of `native/wasm/planes.cc`. */
  readonly window: Pointer;
  readonly ends: readonly number[];
}

function poolOf(context: StepContext): Pool {
  const { at, shape } = context;
  const x = context.input(0);
  const { kernel, strides, dilations, pads } = windowOf(context);
  const [batch = 0, channels = 0, height = 0, width = 0] = x.shape;
  const [, , outHeight = 0, outWidth = 0] = shape;
  if (x.shape.length !== 4 || dilations.some((d) => d !== 1)) {
    throw new BnnError('E_UNSUPPORTED', `${context.node.op} over other than 2 axes, or with dilations`, { at });
  }
  if ([...kernel, ...strides, ...pads].some((value) => value < 0 || value > MOST_WINDOW)) {
    throw new BnnError('E_SHAPE', `a window of ${kernel.join(' x ')} with pads ${pads.join(', ')}`, { at });
  }
  const [top = 0, left = 0, bottom = 0, right = 0] = pads;
  const facts = [height, width, ...kernel, ...strides, top, left, outHeight, outWidth];
  return { planes: batch * channels, window: context.keepInts(facts), ends: [bottom, right] };
}

const maxPool: Operator = (context) => {
  const { planes, window } = poolOf(context);
  const [x, y] = [context.input(0), context.output()];
  context.run(() => context.engine.calls.maxPool(window, planes, x.pointer(), y.pointer()));
};

const averagePool: Operator = (context) => {
  const { planes, window, ends } = poolOf(context);
  const pads = context.keepInts(ends);
  const countPadding = context.node.int('count_include_pad', 0);
  const [x, y] = [context.input(0), context.output()];
  context.run(() => context.engine.calls.averagePool(window, pads, countPadding, planes, x.pointer(), y.pointer()));
};

const globalAveragePool: Operator = (context) => {
  const [x, y] = [context.input(0), context.output()];
  const [batch = 0, channels = 0, ...sizes] = x.shape;
  const size = sizes.reduce((a, b) => a * b, 1);
  context.run(() => context.engine.calls.planeMean(x.pointer(), batch * channels, size, y.pointer()));
};

/** Of whole planes, as one window each. */
const globalMaxPool: Operator = (context) => {
  const [x, y] = [context.input(0), context.output()];
  const [batch = 0, channels = 0, ...sizes] = x.shape;
  const size = sizes.reduce((a, b) => a * b, 1);
  const window = context.keepInts([1, size, 1, size, 1, 1, 0, 0, 1, 1]);
  context.run(() => context.engine.calls.maxPool(window, batch * channels, x.pointer(), y.pointer()));
};

export const POOLING: ReadonlyMap<string, Operator> = new Map([
  ['MaxPool', maxPool],
  ['AveragePool', averagePool],
  ['GlobalAveragePool', globalAveragePool],
  ['GlobalMaxPool', globalMaxPool],
]);
