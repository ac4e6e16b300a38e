/** Functions of one number, and Softmax. */

import * as tf from '@tensorflow/tfjs-core';
import type { Node } from '../../graph/graph.ts';
import { inside } from '../../kernels/clip.ts';
import { run } from '../../kernels/run.ts';
import { graphAxis, memoryAxis } from './layout.ts';
import { floatAttribute, rankOf, scalarParameter } from './static-shape.ts';
import type { StepBuilder } from './step.ts';

interface Activation {
  readonly forward: (x: tf.Tensor) => tf.Tensor;
  /** dy · f′; `of` is the output or, with `reads: 'input'`, the input. */
  readonly gradient: (dy: tf.Tensor, of: tf.Tensor) => tf.Tensor;
  readonly reads: 'input' | 'output';
}

function unary(create: (node: Node) => Activation): StepBuilder {
  return (node, context) => {
    const x = node.requiredInput(0);
    const { forward, gradient, reads } = create(node);
    return {
      inputs: [x],
      output: node.output,
      layout: context.layout(x),
      readsInputs: reads === 'input' ? [0] : [],
      readsOutput: reads === 'output',
      forward: ([x]) => ({ output: tf.tidy(() => forward(x as tf.Tensor)) }),
      backward: ({ dy, inputs: [x], output }) => [
        tf.tidy(() => gradient(dy, reads === 'input' ? (x as tf.Tensor) : output)),
      ],
    };
  };
}

export const ACTIVATIONS: Readonly<Record<string, StepBuilder>> = {
  Relu: unary(() => ({
    forward: (x) => tf.relu(x),
    gradient: (dy, y) => run('BnnClipGrad', { y, dy }, { low: 0, high: Infinity }),
    reads: 'output',
  })),
  /** Its derivative at 0 is 0, as in PyTorch. */
  Abs: unary(() => ({
    forward: (x) => tf.abs(x),
    gradient: (dy, x) => tf.mul(dy, tf.sign(x)),
    reads: 'input',
  })),
  Clip: unary((node) => {
    const high = scalarParameter(node, 'max', 2, Infinity);
    // Where the limits cross, everything is the upper one.
    const low = Math.min(scalarParameter(node, 'min', 1, -Infinity), high);
    return {
      forward: (x) => tf.clipByValue(x, low, high),
      gradient: (dy, y) => run('BnnClipGrad', { y, dy }, { low, high }),
      reads: 'output',
    };
  }),
  Elu: unary((node) => {
    const alpha = floatAttribute(node, 'alpha', 1);
    return {
      forward: (x) => tf.add(tf.relu(x), tf.mul(tf.expm1(tf.minimum(x, 0)), alpha)),
      gradient: (dy, x) => tf.mul(dy, tf.where(tf.greater(x, 0), tf.onesLike(x), tf.mul(tf.exp(x), alpha))),
      reads: 'input',
    };
  }),
  Erf: unary(() => ({
    forward: (x) => tf.erf(x),
    gradient: (dy, x) => tf.mul(dy, tf.mul(tf.exp(tf.mul(tf.mul(x, x), -1)), 2 / Math.sqrt(Math.PI))),
    reads: 'input',
  })),
  Exp: unary(() => ({ forward: (x) => tf.exp(x), gradient: (dy, y) => tf.mul(dy, y), reads: 'output' })),
  HardSigmoid: unary((node) => {
    const [alpha, beta] = [floatAttribute(node, 'alpha', 0.2), floatAttribute(node, 'beta', 0.5)];
    return {
      forward: (x) => tf.clipByValue(tf.add(tf.mul(x, alpha), beta), 0, 1),
      gradient: (dy, y) => run('BnnClipGrad', { y, dy: tf.mul(dy, alpha) }, { low: 0, high: 1 }),
      reads: 'output',
    };
  }),
  /** x · h with h = clip(x/6 + 1/2, 0, 1). */
  HardSwish: unary(() => {
    const gate = (x: tf.Tensor) => tf.clipByValue(tf.add(tf.div(x, 6), 0.5), 0, 1);
    return {
      forward: (x) => tf.mul(x, gate(x)),
      gradient: (dy, x) => {
        const h = gate(x);
        return tf.mul(dy, tf.add(h, tf.mul(inside(h, 0, 1), tf.div(x, 6))));
      },
      reads: 'input',
    };
  }),
  LeakyRelu: unary((node) => {
    const alpha = floatAttribute(node, 'alpha', 0.01);
    return {
      forward: (x) => {
        const positive = tf.relu(x);
        return tf.add(positive, tf.mul(tf.sub(x, positive), alpha));
      },
      gradient: (dy, x) => {
        const above = tf.mul(dy, tf.step(x));
        return tf.add(above, tf.mul(tf.sub(dy, above), alpha));
      },
      reads: 'input',
    };
  }),
  Neg: unary(() => ({ forward: (x) => tf.mul(x, -1), gradient: (dy) => tf.mul(dy, -1), reads: 'output' })),
  Reciprocal: unary(() => ({
    forward: (x) => tf.div(1, x),
    gradient: (dy, y) => tf.mul(tf.mul(dy, -1), tf.mul(y, y)),
    reads: 'output',
  })),
  Sigmoid: unary(() => ({
    forward: (x) => tf.sigmoid(x),
    gradient: (dy, y) => tf.mul(dy, tf.mul(y, tf.sub(1, y))),
    reads: 'output',
  })),
  Softplus: unary(() => ({
    forward: (x) => tf.softplus(x),
    gradient: (dy, x) => tf.mul(dy, tf.sigmoid(x)),
    reads: 'input',
  })),
  Sqrt: unary(() => ({
    forward: (x) => tf.sqrt(x),
    gradient: (dy, y) => tf.div(tf.mul(dy, 0.5), y),
    reads: 'output',
  })),
  Tanh: unary(() => ({
    forward: (x) => tf.tanh(x),
    gradient: (dy, y) => tf.mul(dy, tf.sub(1, tf.mul(y, y))),
    reads: 'output',
  })),
};

/** exp(x − max) / Σ along one axis; dx = y · (dy − Σ y·dy). */
export const softmax: StepBuilder = (node, context) => {
  const x = node.requiredInput(0);
  const layout = context.layout(x);
  const axis = memoryAxis(graphAxis(node, node.int('axis', -1), rankOf(x)), layout);
  return {
    inputs: [x],
    output: node.output,
    layout,
    readsInputs: [],
    readsOutput: true,
    forward: ([x]) => ({
      output: tf.tidy(() => {
        const input = x as tf.Tensor;
        const powers = tf.exp(tf.sub(input, tf.max(input, axis, true)));
        return tf.div(powers, tf.sum(powers, axis, true));
      }),
    }),
    backward: ({ dy, output: y }) => [tf.tidy(() => tf.mul(y, tf.sub(dy, tf.sum(tf.mul(y, dy), axis, true))))],
  };
};
