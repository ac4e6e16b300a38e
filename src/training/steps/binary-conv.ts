/**
 * Conv together with the bnn.Sign of its activations:
 *
 *     x ──► bnn.Sign ──► Conv ──► y
 *
 * The signs are never a tensor: forward and backward read x, which the estimator's gradient needs anyway.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { Node } from '../../graph/graph.ts';
import { run as runKernel } from '../../kernels/run.ts';
import { binaryConvInputGradient } from '../program/sign-gradients.ts';
import { isNormalized } from './batch-norm.ts';
import { planConv } from './conv.ts';
import { layersBehind, ofLayer, relaxesWeights } from './sign.ts';
import type { BuildContext, Fusion, Step } from './step.ts';

/** A convolution and the bnn.Sign of its data, where only plain convolutions read that: then the Sign needs no step of its own. */
export function fuseBinaryConv(node: Node): Fusion | null {
  const sign = node.is('Conv') ? node.requiredInput(0).producer : null;
  if (!sign?.is('Sign', 'bnn') || sign.requiredInput(0).constant !== null || sign.output.isOutput()) return null;
  if (!sign.output.uses.every(({ node: reader, index }) => index === 0 && isPlainConv(reader))) return null;
  return { at: node, absorbed: [sign], build: (context) => buildBinaryConv(node, sign, context) };
}

/** What the kernels of binary convolutions know: no groups, no dilations. */
function isPlainConv(node: Node): boolean {
  return node.is('Conv') && node.int('group', 1) === 1 && node.ints('dilations', []).every((d) => d === 1);
}

/** The step of a Conv and of the Sign before it. */
function buildBinaryConv(node: Node, sign: Node, context: BuildContext): Step {
  const x = sign.requiredInput(0);
  const { attributes, weight, bias } = planConv(node, x, context);
  const layers = layersBehind(sign);
  const layer = layers[0] ?? sign.output.name;
  const [first] = sign.output.uses;
  const binarizesWeight = weight.producer?.is('Sign', 'bnn') === true;
  const form = { isNormalized: bias === null && isNormalized(node.output) };
  return {
    inputs: bias === null ? [x, weight] : [x, weight, bias],
    output: node.output,
    layout: 'nhwc',
    readsInputs: [0, 1],
    readsOutput: false,
    addsTo: [0],
    forward([x, filter, bias], run) {
      // Of several convolutions of the same signs, one tells.
      if (run.observe !== undefined && first?.node === node) {
        for (const layer of layers) run.observe(layer, x as tf.Tensor);
      }
      const filterIsSigns = binarizesWeight && !relaxesWeights(run);
      const inputs = { x: x as tf.Tensor, filter: filter as tf.Tensor };
      const y = runKernel('BnnBinaryConv', inputs, { ...attributes, ...form, filterIsSigns });
      if (bias === undefined) return { output: y };
      const output = tf.add(y, bias);
      y.dispose();
      return { output };
    },
    backward({ dy, inputs: [x, filter], sums: [sum], needs, run }) {
      const input = x as tf.Tensor;
      const weights = filter as tf.Tensor;
      return [
        needs[0]
          ? binaryConvInputGradient(
              { dy, filter: weights, x: input, sum },
              attributes,
              ofLayer(run.activationEstimator, layer),
            )
          : null,
        needs[1]
          ? runKernel('BnnBinaryConvFilterGrad', { x: input, dy }, { ...attributes, filterShape: weights.shape })
          : null,
        needs[2] ? tf.sum(dy, [0, 1, 2]) : null,
      ];
    },
  };
}
