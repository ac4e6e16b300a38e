/** Gemm and MatMul. */

import * as tf from '@tensorflow/tfjs-core';
import { elementCount } from '../../core/tensors/shape.ts';
import { fromGraph, layoutOfRank, reverseAlign, toGraph } from './layout.ts';
import { floatAttribute, rankOf, unsupported } from './static-shape.ts';
import type { StepBuilder } from './step.ts';

/** alpha · A · B + beta · C, A and B transposed on request. */
export const gemm: StepBuilder = (node, context) => {
  const [a, b, c] = [node.requiredInput(0), node.requiredInput(1), node.input(2)];
  if (rankOf(a) !== 2 || rankOf(b) !== 2) unsupported(node, 'its operands must be matrices');
  const [alpha, beta] = [floatAttribute(node, 'alpha', 1), floatAttribute(node, 'beta', 1)];
  const [transA, transB] = [node.int('transA', 0) !== 0, node.int('transB', 0) !== 0];
  const from = c === null ? 'plain' : context.layout(c);
  return {
    inputs: c === null ? [a, b] : [a, b, c],
    output: node.output,
    layout: 'plain',
    readsInputs: [0, 1],
    readsOutput: false,
    forward: ([a, b, c]) => ({
      output: tf.tidy(() => {
        const y = times(tf.matMul(a as tf.Tensor, b as tf.Tensor, transA, transB), alpha);
        return c === undefined ? y : tf.add(y, times(toGraph(c, from), beta));
      }),
    }),
    backward: ({ dy, inputs: [a, b], inputShapes, needs }) => {
      const [left, right] = [a as tf.Tensor, b as tf.Tensor];
      return [
        needs[0]
          ? tf.tidy(() =>
              times(transA ? tf.matMul(right, dy, transB, true) : tf.matMul(dy, right, false, !transB), alpha),
            )
          : null,
        needs[1]
          ? tf.tidy(() =>
              times(transB ? tf.matMul(dy, left, true, transA) : tf.matMul(left, dy, !transA, false), alpha),
            )
          : null,
        needs[2] ? tf.tidy(() => times(reverseAlign(dy, from, 'plain', inputShapes[2] ?? []), beta)) : null,
      ];
    },
  };
};

function times(t: tf.Tensor, factor: number): tf.Tensor {
  return factor === 1 ? t : tf.mul(t, factor);
}

/** NumPy's matmul: the last two dimensions are matrices, those before broadcast; a vector is a matrix of one row or column. */
export const matMul: StepBuilder = (node, context) => {
  const operands = [node.requiredInput(0), node.requiredInput(1)] as const;
  const ranks = operands.map(rankOf);
  const layouts = operands.map((value) => context.layout(value));
  const layout = layoutOfRank(rankOf(node.output));
  /** An operand as matrices in the graph's order. */
  const matrices = (t: tf.Tensor, i: 0 | 1): tf.Tensor => {
    const ordered = toGraph(t, layouts[i] ?? 'plain');
    return ranks[i] === 1 ? tf.expandDims(ordered, i) : ordered;
  };
  /** Of two operands that are one matrix each, or many rows times one matrix: the rows. */
  const rows = (t: tf.Tensor): tf.Tensor => tf.reshape(t, [-1, t.shape.at(-1) ?? 1]);
  return {
    inputs: operands,
    output: node.output,
    layout,
    readsInputs: [0, 1],
    readsOutput: false,
    forward: ([a, b]) => ({
      output: tf.tidy(() => {
        const [left, right] = [matrices(a as tf.Tensor, 0), matrices(b as tf.Tensor, 1)];
        // Many rows times one matrix is one product.
        const y = right.rank === 2 ? tf.matMul(rows(left), right) : batched(left, right);
        const shape = [
          ...batchShape(left.shape, right.shape),
          ...(ranks[0] === 1 ? [] : [left.shape.at(-2) ?? 1]),
          ...(ranks[1] === 1 ? [] : [right.shape.at(-1) ?? 1]),
        ];
        return fromGraph(tf.reshape(y, shape), layout);
      }),
    }),
    backward: ({ dy, inputs: [a, b], needs }) => {
      const gradient = (i: 0 | 1): tf.Tensor | null =>
        needs[i] !== true
          ? null
          : tf.tidy(() => {
              const [left, right] = [matrices(a as tf.Tensor, 0), matrices(b as tf.Tensor, 1)];
              const shape = [...batchShape(left.shape, right.shape), left.shape.at(-2) ?? 1, right.shape.at(-1) ?? 1];
              const g = tf.reshape(toGraph(dy, layout), shape);
              const of = i === 0 ? left : right;
              const product =
                right.rank === 2
                  ? i === 0
                    ? tf.reshape(tf.matMul(rows(g), right, false, true), left.shape)
                    : tf.matMul(rows(left), rows(g), true, false)
                  : i === 0
                    ? batched(g, right, false, true)
                    : batched(left, g, true, false);
              const summed = reverseAlign(product, 'plain', 'plain', of.shape);
              const inGraph = ranks[i] === 1 ? tf.reshape(summed, [-1]) : summed;
              return fromGraph(inGraph, layouts[i] ?? 'plain');
            });
      return [gradient(0), gradient(1)];
    },
  };
};

/** tf.matMul, which broadcasts only a whole batch of one matrix. */
function batched(a: tf.Tensor, b: tf.Tensor, transposeA = false, transposeB = false): tf.Tensor {
  const batch = batchShape(a.shape, b.shape);
  const spread = (t: tf.Tensor): tf.Tensor => {
    const own = t.shape.slice(0, -2);
    const count = elementCount(own);
    return count === 1 || count === elementCount(batch) ? t : tf.broadcastTo(t, [...batch, ...t.shape.slice(-2)]);
  };
  return tf.matMul(spread(a), spread(b), transposeA, transposeB);
}

function batchShape(a: readonly number[], b: readonly number[]): number[] {
  return tf.backend_util.assertAndGetBroadcastShape(a.slice(0, -2), b.slice(0, -2));
}
