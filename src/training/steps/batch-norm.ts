/**
 * BatchNormalization together with what stands directly before it, and the addition after it:
 *
 *     x ──► Mul(scale)? ──► Relu? ──► BatchNormalization ──► Add(residual)? ──► y
 *
 * Training uses the statistics of the batch and moves the running ones (the variance unbiased, as PyTorch and TensorFlow do);
 * evaluation uses the running ones.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { Node, Value } from '../../graph/graph.ts';
import { run as runKernel } from '../../kernels/run.ts';
import { sumGradients, sumStatistics } from './shared-norm.ts';
import { floatAttribute, rankOf, unsupported } from './static-shape.ts';
import type { BuildContext, Fusion, Step } from './step.ts';

interface FusedNorm {
  readonly node: Node;
  readonly x: Value;
  readonly scale: Value | null;
  readonly relu: boolean;
  /** The Add that alone reads the result, and its other operand. */
  readonly sum: { readonly node: Node; readonly residual: Value } | null;
}

/**
 * A BatchNormalization with what may be computed together with it: a ReLU, and a multiplication by a scalar before it, and the
 * addition of a tensor of the same shape after it, in whose place the step stands then.
 */
export function fuseNorm(node: Node): Fusion | null {
  if (!node.is('BatchNormalization')) return null;
  const sum = additionOf(node);
  let x = node.requiredInput(0);
  const relu = soleProducer(x, 'Relu');
  if (relu !== null) x = relu.requiredInput(0);
  const mul = soleProducer(x, 'Mul');
  const scale = mul?.inputs.findLast((input) => input !== null && isComputedScalar(input)) ?? null;
  if (mul !== null && scale !== null) x = mul.requiredInput(mul.input(0) === scale ? 1 : 0);
  const norm: FusedNorm = { node, x, scale, relu: relu !== null, sum };
  const before = [relu, scale === null ? null : mul].filter((part) => part !== null);
  return {
    at: sum?.node ?? node,
    absorbed: sum === null ? before : [node, ...before],
    build: (context) => buildNorm(norm, context),
  };
}

/** The Add that alone reads a BatchNormalization; of two summands that are normalized, the first takes the other. */
function additionOf(node: Node): FusedNorm['sum'] {
  const [use] = node.output.uses;
  if (use === undefined || node.output.uses.length > 1 || node.output.isOutput() || !use.node.is('Add')) return null;
  const first = use.node.requiredInput(0);
  const residual = use.index === 0 ? use.node.requiredInput(1) : first;
  if (residual === node.output || residual.constant !== null) return null;
  if (residual === first && residual.producer?.is('BatchNormalization') && residual.uses.length === 1) return null;
  const [shape, other] = [node.output.shape, residual.shape];
  const isSame = shape?.length === 4 && other?.length === 4 && shape.every((size, i) => size === other[i]);
  return isSame ? { node: use.node, residual } : null;
}

function soleProducer(value: Value, op: string): Node | null {
  const { producer } = value;
  return producer?.is(op) && value.uses.length === 1 ? producer : null;
}

/** Whether a step of a normalization alone reads the value. */
export function isNormalized(value: Value): boolean {
  const [use] = value.uses;
  if (use === undefined || value.uses.length > 1 || value.isOutput()) return false;
  const { node } = use;
  if (node.is('BatchNormalization')) return use.index === 0;
  const scales = node.is('Mul') && node.inputs.some((input) => input !== null && isComputedScalar(input));
  return (scales || node.is('Relu')) && isNormalized(node.output);
}

function isComputedScalar(value: Value): boolean {
  return value.constant === null && value.shape?.length === 0;
}

function buildNorm({ node, x, scale, relu, sum }: FusedNorm, context: BuildContext): Step {
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((i) => node.requiredInput(i)) as [Value, Value, Value, Value];
  const rank = rankOf(x);
  if (rank !== 2 && rank !== 4) unsupported(node, `the input has rank ${rank}, 2 and 4 are implemented`);
  const { output } = sum?.node ?? node;
  const areSignsRead = output.uses.some((use) => use.node.is('Sign', 'bnn'));
  const attributes = { epsilon: floatAttribute(node, 'epsilon', 1e-5, 0, 1e30), relu, areSignsRead };
  const keep = floatAttribute(node, 'momentum', 0.9, 0, 1);
  const meanSlot = context.slot(mean);
  const varianceSlot = context.slot(variance);
  const reads = [x, gamma, beta, mean, variance];
  const scaleAt = scale === null ? -1 : reads.push(scale) - 1;
  const residualAt = sum === null ? -1 : reads.push(sum.residual) - 1;

  const step: Step = {
    inputs: reads,
    output,
    layout: context.layout(x),
    readsInputs: scale === null ? [0, 1] : [0, 1, 5],
    readsOutput: false,
    forward(tensors, run) {
      const [x, gamma, beta, mean, variance] = tensors as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const inputs = { x, gamma, beta, scale: tensors[scaleAt], residual: tensors[residualAt] };
      if (!run.training) return { output: runKernel('BnnBatchNormInfer', { ...inputs, mean, variance }, attributes) };
      if (run.sumUp !== undefined) {
        const shared = sumStatistics({ x, scale: inputs.scale, shift: mean, variance }, attributes.relu, run.sumUp);
        run.setBuffer(meanSlot, shared.runningMean(run.statisticsKeep ?? keep));
        run.setBuffer(varianceSlot, shared.runningVariance(run.statisticsKeep ?? keep));
        const statistics = { mean: shared.mean, variance: shared.variance };
        const output = runKernel('BnnBatchNormInfer', { ...inputs, ...statistics }, attributes);
        return { output, saved: [shared.mean, shared.variance] };
      }
      const [y, batchMean, batchVariance, newMean, newVariance] = runKernel(
        'BnnBatchNormTrain',
        { ...inputs, runningMean: mean, runningVariance: variance },
        { ...attributes, keep: run.statisticsKeep ?? keep },
      );
      run.setBuffer(meanSlot, newMean);
      run.setBuffer(varianceSlot, newVariance);
      return { output: y, saved: [batchMean, batchVariance] };
    },
    backward({ dy, inputs, saved, run }) {
      const [mean, variance] = saved as [tf.Tensor, tf.Tensor];
      const [x, gamma] = inputs as [tf.Tensor, tf.Tensor];
      const given = { x, dy, gamma, mean, variance, scale: inputs[scaleAt] };
      const [dx, dgamma, dbeta, dscale = null] =
        run.sumUp === undefined
          ? runKernel('BnnBatchNormGrad', given, attributes)
          : sumGradients(given, attributes, run.sumUp);
      const rest = [...(scale === null ? [] : [dscale]), ...(sum === null ? [] : [tf.clone(dy)])];
      return [dx, dgamma, dbeta, null, null, ...rest];
    },
  };
  // A sum is not computed again: that would keep the residual instead.
  if (sum !== null) return step;
  return {
    ...step,
    recompute(tensors, saved) {
      const [x, gamma, beta] = tensors as [tf.Tensor, tf.Tensor, tf.Tensor];
      const [mean, variance] = saved as [tf.Tensor, tf.Tensor];
      return runKernel('BnnBatchNormInfer', { x, gamma, beta, mean, variance, scale: tensors[scaleAt] }, attributes);
    },
  };
}
