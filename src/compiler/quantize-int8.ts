/**
 * Float networks in 8-bit integers for a stock onnxruntime, as its own static quantization writes them: pairs of QuantizeLinear and
 * DequantizeLinear (QDQ) around float operators, which onnxruntime replaces by QLinearConv and the like when it loads the model.
 *
 *     before   x ──► Conv(W, b) ──► Relu ──► y
 *     after    x ──► Q ──► DQ ──► Conv(DQ(W₈), DQ(b₃₂)) ──► Q ──► DQ ──► y
 *
 * Data      uint8, one scale and zero point per tensor, from the range of a calibration; 0 is exact.
 * Weights   int8, symmetric, one scale per output channel: with uint8 data, the form that VNNI multiplies.
 * Bias      int32 with the scale of the sums, s(x) · s(W).
 * Relu      or Clip behind a quantized operator is dropped: the range ends where it would cut off. Not a Clip that leaves 0 out.
 *
 * What has no 8-bit kernel in onnxruntime's CPU provider, or a slow one (sums with constants that are broadcast), stays float.
 */

import { tensor } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import type { Model } from '../graph/model.ts';
import { factsOf, passesFirst } from '../operators/operator-facts.ts';
import { cloneModel } from '../rewriting/clone-model.ts';
import { RewriteContext } from '../rewriting/context.ts';
import { applyRewrites, type Rewrite, removeDead } from '../rewriting/rewrite.ts';
import {
  assertInt8Opset,
  isVector,
  outputAxisOf,
  quantizeWeights,
  type Step,
  toStep,
  type ValueRange,
} from './int8-parts.ts';
import { lowerToPacked } from './lower-to-packed.ts';
import { AFFINE_TO_CONV } from './rewrites/affine-to-conv.ts';
import { FOLD_BATCHNORM_AFTER } from './rewrites/fold-batchnorm-after-float.ts';
import { PRELU_TO_LEAKY_RELU } from './rewrites/prelu-to-leaky-relu.ts';
import { RAISE_BATCHNORM } from './rewrites/raise-batchnorm.ts';

/** What goes into convolutions does so before the rest becomes convolutions. */
const STEPS: readonly (readonly Rewrite[])[] = [
  [RAISE_BATCHNORM, FOLD_BATCHNORM_AFTER],
  [AFFINE_TO_CONV, PRELU_TO_LEAKY_RELU],
];
/** For the documentation: those that `lowerToPacked` does not have. */
export const INT8_REWRITES: readonly Rewrite[] = [RAISE_BATCHNORM, AFFINE_TO_CONV, PRELU_TO_LEAKY_RELU];

const LAYERS = new Set(['Conv', 'Gemm', 'MatMul']);
/** Operators on data alone that onnxruntime computes in 8-bit integers. */
const ON_DATA = new Set(['Add', 'Mul', 'Concat', 'AveragePool', 'GlobalAveragePool', 'LeakyRelu']);

/** The largest magnitude of a weight in steps. */
const LARGEST_WEIGHT = 127;

/** The float form that is calibrated and quantized: constants folded, affine maps of images in convolutions. The source is not changed. */
export function prepareInt8(source: Model): Model {
  const { model } = lowerToPacked(source);
  const context = new RewriteContext(model);
  for (const rewrites of STEPS) applyRewrites(rewrites, context);
  return model;
}

/**
 * Quantizes a prepared model; it is not changed.
 *
 * @param ranges  of the float32 values of the model, by name; operators on others stay float.
 * @throws {BnnError} E_UNSUPPORTED when nothing can be quantized, E_NUMERIC for a range that is not finite.
 */
export function quantizeInt8(source: Model, ranges: ReadonlyMap<string, ValueRange>): Model {
  assertInt8Opset(source.opsets);
  const model = cloneModel(source);
  const { graph } = model;
  const rangeOf = new Map<Value, ValueRange>();
  for (const [name, range] of ranges) {
    const value = graph.values.get(name);
    if (value !== undefined) rangeOf.set(value, range);
  }
  const nodes = [...graph.nodes()].filter((node) => canQuantize(node, rangeOf));
  if (!nodes.some(({ op }) => LAYERS.has(op))) {
    throw new BnnError('E_UNSUPPORTED', 'the model has no convolution or dense layer of constant float32 weights');
  }
  for (const node of nodes) absorbClip(graph, node.output, rangeOf);
  const steps = chooseSteps(graph, nodes, rangeOf);
  const layers = nodes.filter(({ op }) => LAYERS.has(op));
  const dataSteps = layers.map((node) => stepOf(steps, node.requiredInput(0)));
  for (const [value, step] of steps) insertPair(graph, value, step);
  for (const [i, node] of layers.entries())
    quantizeWeights(graph, node, dataSteps[i]?.scale ?? Number.NaN, LARGEST_WEIGHT);
  graph.sortTopologically();
  return model;
}

function canQuantize(node: Node, rangeOf: ReadonlyMap<Value, ValueRange>): boolean {
  if (node.domain !== '' || node.outputs.length !== 1 || !rangeOf.has(node.output)) return false;
  if (ON_DATA.has(node.op)) return node.inputs.every((input) => input !== null && rangeOf.has(input));
  if (!LAYERS.has(node.op) || !rangeOf.has(node.requiredInput(0))) return false;
  const weights = node.requiredInput(1).constant;
  if (weights?.dtype !== 'float32') return false;
  if (node.is('Conv')) return node.input(2) === null || isVector(node.input(2), weights.shape[0]);
  if (weights.shape.length !== 2) return false;
  if (node.is('MatMul')) return true;
  const isPlain = node.float('alpha', 1) === 1 && node.float('beta', 1) === 1 && node.int('transA', 0) === 0;
  return isPlain && (node.input(2) === null || isVector(node.input(2), weights.shape[outputAxisOf(node)]));
}

/** Whether a node cuts off what lies outside of a range that holds 0, as that of steps does, which cut off the same. */
function cutsAroundZero(node: Node): boolean {
  if (node.is('Relu')) return true;
  const isOn = (index: number, holds: (bound: number) => boolean): boolean => {
    const bound = node.input(index);
    return bound === null || (bound.constant !== null && holds(Number(bound.constant.data[0])));
  };
  return node.is('Clip') && isOn(1, (least) => least <= 0) && isOn(2, (most) => most >= 0);
}

/** Drops a Relu or Clip that alone reads a value: what it would cut off lies outside of the range. */
function absorbClip(graph: Graph, value: Value, rangeOf: Map<Value, ValueRange>): void {
  const [use, ...others] = value.uses;
  if (use === undefined || others.length > 0 || use.index !== 0 || value.isOutput()) return;
  const { node } = use;
  const range = rangeOf.get(node.output);
  if (!cutsAroundZero(node) || range === undefined) return;
  graph.replaceAllUses(node.output, value);
  rangeOf.delete(node.output);
  rangeOf.set(value, range);
  removeDead(graph, node);
}

/** How each value next to a quantized operator is quantized. */
function chooseSteps(
  graph: Graph,
  nodes: readonly Node[],
  rangeOf: ReadonlyMap<Value, ValueRange>,
): ReadonlyMap<Value, Step> {
  const steps = new Map<Value, Step>();
  for (const node of nodes) {
    const data = LAYERS.has(node.op) ? [node.requiredInput(0)] : node.inputs;
    for (const value of [...data, node.output]) {
      const range = value === null ? undefined : rangeOf.get(value);
      if (value !== null && range !== undefined && !steps.has(value)) steps.set(value, toStep(range, value.name));
    }
  }
  for (const node of graph.nodes()) {
    // What moves elements, or takes their maximum, gives a result that is quantized like the data.
    if (!(node.is('Pad') || passesFirst(factsOf(node))) || node.outputs.length !== 1) continue;
    const step = steps.get(node.requiredInput(0));
    const range = rangeOf.get(node.output);
    // Pad may add what lies outside.
    if (step !== undefined && range !== undefined && holds(step, range)) steps.set(node.output, step);
  }
  return steps;
}

function holds({ scale, zero }: Step, { min, max }: ValueRange): boolean {
  return min >= (-zero - 0.5) * scale && max <= (255 - zero + 0.5) * scale;
}

function stepOf(steps: ReadonlyMap<Value, Step>, value: Value): Step {
  const step = steps.get(value);
  if (step === undefined) throw new Error(`internal: ${value.name} is not quantized`);
  return step;
}

/** Lets everything that reads a value read it rounded to its steps. */
function insertPair(graph: Graph, value: Value, { scale, zero }: Step): void {
  const { name } = value;
  const parameters = [
    graph.addConstant(`${name}.scale`, tensor('float32', [], Float32Array.of(scale))),
    graph.addConstant(`${name}.zero`, tensor('uint8', [], Uint8Array.of(zero))),
  ];
  const rounded = graph.addNode('DequantizeLinear', [null, ...parameters], { name: `${name}.dq` });
  graph.replaceAllUses(value, rounded.output);
  const bytes = graph.addNode('QuantizeLinear', [value, ...parameters], { name: `${name}.q` });
  graph.setInput(rounded, 0, bytes.output);
  rounded.output.dtype = value.dtype;
  rounded.output.shape = value.shape;
  bytes.output.dtype = 'uint8';
  bytes.output.shape = value.shape;
}
