/** What networks in 8-bit integers are made of: steps of data, and the weights of a layer in steps of their own. */

import { createArray, type Tensor, tensor } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import { int } from '../graph/attribute.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';

/** Least and greatest element that a calibration saw. */
export interface ValueRange {
  readonly min: number;
  readonly max: number;
}

/** One step of an 8-bit number, and the number that stands for 0. */
export interface Step {
  readonly scale: number;
  readonly zero: number;
}

/** Per-channel DequantizeLinear came with it. */
const LEAST_OPSET = 13;
/** Keeps the int32 bias of a channel with tiny weights away from the end of its range. */
const LARGEST_BIAS = 2 ** 30;

/** @throws {BnnError} E_UNSUPPORTED when a model's operator set has no 8-bit weights per channel. */
export function assertInt8Opset(opsets: ReadonlyMap<string, number>): void {
  const opset = opsets.get('') ?? 0;
  if (opset >= LEAST_OPSET) return;
  throw new BnnError(
    'E_UNSUPPORTED',
    `the model has operator set ${opset}, 8-bit weights need ${LEAST_OPSET} or later`,
  );
}

/**
 * 256 steps from end to end, widened so that 0 is one of them.
 *
 * @param name  of the value, for the message.
 * @throws {BnnError} E_NUMERIC for a range that is not finite.
 */
export function toStep({ min, max }: ValueRange, name: string): Step {
  if (!Number.isFinite(min) || !Number.isFinite(max)) {
    throw new BnnError('E_NUMERIC', `${name} ranges from ${min} to ${max}, expected finite numbers`, {
      hint: 'look for NaN or infinite parameters in the float model',
    });
  }
  const low = Math.min(min, 0);
  const scale = Math.fround((Math.max(max, 0) - low) / 255) || 1;
  return { scale, zero: Math.min(255, Math.round(-low / scale)) };
}

/** Dimension of the weights that counts the output channels. */
export function outputAxisOf(node: Node): 0 | 1 {
  return node.is('Conv') || node.int('transB', 0) === 1 ? 0 : 1;
}

/** Whether a value is a constant float32 vector of so many elements. */
export function isVector(value: Value | null, size: number | undefined): boolean {
  const constant = value?.constant;
  return constant?.dtype === 'float32' && constant.shape.length === 1 && constant.shape[0] === size;
}

/**
 * Makes a layer read its constant weights rounded to int8, symmetric with one scale per output channel, and its bias to int32 in
 * steps of the sums, `dataScale` times the scale of the weights.
 *
 * @param largest  the weights' largest magnitude in steps, up to 127.
 */
export function quantizeWeights(graph: Graph, node: Node, dataScale: number, largest: number): void {
  const weights = node.requiredInput(1).constant as Tensor<'float32'>;
  const bias = (node.input(2)?.constant ?? null) as Tensor<'float32'> | null;
  const axis = outputAxisOf(node);
  const outputs = weights.shape[axis] ?? 0;
  const inner = weights.shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const channelOf = (i: number): number => Math.floor(i / inner) % outputs;
  const scales = new Float32Array(outputs);
  weights.data.forEach((w, i) => {
    const o = channelOf(i);
    scales[o] = Math.max(scales[o] ?? 0, Math.abs(w) / largest);
  });
  scales.forEach((scale, o) => {
    scales[o] = Math.max(scale, Math.abs(bias?.data[o] ?? 0) / dataScale / LARGEST_BIAS) || 1;
  });
  const bytes = Int8Array.from(weights.data.map((w, i) => Math.round(w / (scales[channelOf(i)] ?? 1))));
  replaceWeights(graph, node, 1, tensor('int8', weights.shape, bytes), scales, axis);
  if (bias === null) return;
  const sums = scales.map((scale) => scale * dataScale);
  const steps = Int32Array.from(bias.data, (b, o) => Math.round(b / (sums[o] ?? 1)));
  replaceWeights(graph, node, 2, tensor('int32', bias.shape, steps), sums, 0);
}

function replaceWeights(
  graph: Graph,
  node: Node,
  index: 1 | 2,
  data: Tensor<'int8' | 'int32'>,
  scales: Float32Array,
  axis: number,
): void {
  const old = node.requiredInput(index);
  const name = `${old.name}.${data.dtype}`;
  const zeros = { dtype: data.dtype, shape: [scales.length], data: createArray(data.dtype, scales.length) } as Tensor;
  const inputs = [
    graph.addConstant(name, data),
    graph.addConstant(`${name}.scale`, tensor('float32', [scales.length], scales)),
    // ONNX lets it out; onnxruntime makes a QGemm only where it is there.
    graph.addConstant(`${name}.zero`, zeros),
  ];
  const { output } = graph.addNode('DequantizeLinear', inputs, {
    name: `${old.name}.dq`,
    attributes: { axis: int(axis) },
  });
  output.dtype = 'float32';
  output.shape = data.shape;
  graph.setInput(node, index, output);
  if (old.uses.length === 0 && !old.isOutput()) graph.removeConstant(old);
}
