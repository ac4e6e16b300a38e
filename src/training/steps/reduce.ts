/** ReduceMean over any axes. */

import * as tf from '@tensorflow/tfjs-core';
import { elementCount } from '../../core/shape.ts';
import { fromGraph, graphAxis, graphShape, layoutOfRank, memoryAxis, toGraph } from './layout.ts';
import { identity } from './shaping.ts';
import { listParameter, rankOf } from './static-shape.ts';
import type { StepBuilder } from './step.ts';

export const reduceMean: StepBuilder = (node, context) => {
  const x = node.requiredInput(0);
  const rank = rankOf(x);
  const listed = listParameter(node, 'axes', 1) ?? [];
  if (listed.length === 0 && node.int('noop_with_empty_axes', 0) !== 0) return identity(node, context);
  const isReduced = (axis: number) => listed.length === 0 || listed.some((a) => graphAxis(node, a, rank) === axis);
  const from = context.layout(x);
  const inGraph = Array.from({ length: rank }, (_, axis) => axis);
  // A parameter per channel, [C, 1, 1], has one dimension in memory.
  const axes =
    from === 'channel' ? (isReduced(0) ? [0] : []) : inGraph.filter(isReduced).map((a) => memoryAxis(a, from));
  const keeps = node.int('keepdims', 1) !== 0;
  const layout = keeps ? from : layoutOfRank(rankOf(node.output));
  const meanShape = (shape: readonly number[]) => shape.map((size, position) => (axes.includes(position) ? 1 : size));
  return {
    inputs: [x],
    output: node.output,
    layout,
    readsInputs: [],
    readsOutput: false,
    forward: ([x]) => ({
      output: tf.tidy(() => {
        const mean = tf.mean(x as tf.Tensor, axes, true);
        if (keeps) return mean;
        const ordered = toGraph(mean, from);
        return fromGraph(
          tf.reshape(
            ordered,
            ordered.shape.filter((_, axis) => !isReduced(axis)),
          ),
          layout,
        );
      }),
    }),
    backward: ({ dy, inputShapes: [shape = []] }) => [
      tf.tidy(() => {
        const kept = meanShape(shape);
        const g = keeps ? dy : fromGraph(tf.reshape(toGraph(dy, layout), graphShape(kept, from)), from);
        return tf.mul(tf.ones([...shape]), tf.div(g, elementCount(shape) / elementCount(kept)));
      }),
    ],
  };
};
