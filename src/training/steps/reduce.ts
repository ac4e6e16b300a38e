/** ReduceMean over any axes, also together with the Abs before it: the scale of a binary layer. */

import * as tf from '@tensorflow/tfjs-core';
import { elementCount } from '../../core/tensors/shape.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { run } from '../../kernels/run.ts';
import { fromGraph, graphAxis, graphShape, layoutOfRank, memoryAxis, toGraph } from './layout.ts';
import { identity } from './shaping.ts';
import { listParameter, rankOf } from './static-shape.ts';
import type { BuildContext, Fusion, Layout, Step, StepBuilder } from './step.ts';

export const reduceMean: StepBuilder = (node, context) => {
  if (keepsEverything(node)) return identity(node, context);
  const x = node.requiredInput(0);
  const { layout, mean, share } = planMean(node, x, context);
  return {
    inputs: [x],
    output: node.output,
    layout,
    readsInputs: [],
    readsOutput: false,
    forward: ([x]) => ({ output: tf.tidy(() => mean(x as tf.Tensor)) }),
    backward: ({ dy, inputShapes: [shape = []] }) => [tf.tidy(() => tf.broadcastTo(share(dy, shape), [...shape]))],
  };
};

/** A ReduceMean and the Abs that only it reads. */
export function fuseMagnitude(node: Node): Fusion | null {
  if (!node.is('ReduceMean') || keepsEverything(node)) return null;
  const { producer, uses } = node.requiredInput(0);
  if (producer === null || !producer.is('Abs') || uses.length > 1 || producer.output.isOutput()) return null;
  return { at: node, absorbed: [producer], build: (context) => buildMeanMagnitude(node, producer, context) };
}

/** The step of a ReduceMean and of the Abs before it. The derivative of |x| at 0 is 0. */
function buildMeanMagnitude(node: Node, abs: Node, context: BuildContext): Step {
  const x = abs.requiredInput(0);
  const { layout, isTotal, keeps, mean, share } = planMean(node, x, context);
  const totalOf = (x: tf.Tensor): tf.Tensor =>
    tf.reshape(run('BnnMeanMagnitude', { x }), keeps ? x.shape.map(() => 1) : []);
  return {
    inputs: [x],
    output: node.output,
    layout,
    readsInputs: [0],
    readsOutput: false,
    addsTo: [0],
    forward: ([x]) => ({
      output: tf.tidy(() => (isTotal ? totalOf(x as tf.Tensor) : mean(tf.abs(x as tf.Tensor)))),
    }),
    backward: ({ dy, inputs: [x], inputShapes: [shape = []], sums: [sum] }) => [
      isTotal
        ? run('BnnMeanMagnitudeGrad', { x: x as tf.Tensor, dy, sum })
        : tf.tidy(() => {
            const dx = tf.mul(tf.sign(x as tf.Tensor), share(dy, shape));
            return sum === undefined ? dx : tf.add(sum, dx);
          }),
    ],
  };
}

function axesOf(node: Node): readonly number[] {
  return listParameter(node, 'axes', 1) ?? [];
}

function keepsEverything(node: Node): boolean {
  return axesOf(node).length === 0 && node.int('noop_with_empty_axes', 0) !== 0;
}

interface MeanPlan {
  readonly layout: Layout;
  /** Whether it is one mean, of everything. */
  readonly isTotal: boolean;
  /** Whether dimensions stay, with size 1. */
  readonly keeps: boolean;
  mean(x: tf.Tensor): tf.Tensor;
  /** What each element of an input of this shape gets of the gradient, with sizes of 1 where it is the same for all. */
  share(dy: tf.Tensor, shape: readonly number[]): tf.Tensor;
}

function planMean(node: Node, x: Value, context: BuildContext): MeanPlan {
  const rank = rankOf(x);
  const listed = axesOf(node);
  const isReduced = (axis: number) => listed.length === 0 || listed.some((a) => graphAxis(node, a, rank) === axis);
  const from = context.layout(x);
  const inGraph = Array.from({ length: rank }, (_, axis) => axis);
  // A parameter per channel, [C, 1, 1], has one dimension in memory.
  const axes =
    from === 'channel' ? (isReduced(0) ? [0] : []) : inGraph.filter(isReduced).map((a) => memoryAxis(a, from));
  const keeps = node.int('keepdims', 1) !== 0;
  const isTotal = inGraph.every(isReduced);
  const isScalar = !keeps && isTotal;
  const layout = keeps ? from : layoutOfRank(rankOf(node.output));
  const meanShape = (shape: readonly number[]) => shape.map((size, position) => (axes.includes(position) ? 1 : size));
  return {
    layout,
    isTotal,
    keeps,
    mean(x) {
      const mean = tf.mean(x, axes, !isScalar);
      if (keeps || isScalar) return mean;
      const ordered = toGraph(mean, from);
      return fromGraph(
        tf.reshape(
          ordered,
          ordered.shape.filter((_, axis) => !isReduced(axis)),
        ),
        layout,
      );
    },
    share(dy, shape) {
      const kept = meanShape(shape);
      const g = keeps || isScalar ? dy : fromGraph(tf.reshape(toGraph(dy, layout), graphShape(kept, from)), from);
      return tf.div(g, elementCount(shape) / elementCount(kept));
    },
  };
}
