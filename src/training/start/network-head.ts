/** The end of a network that is to be trained: what the loss takes in itself, and a classifier for other classes. */

import { elementCount } from '../../core/tensors/shape.ts';
import type { Tensor } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import { finalActivation } from '../../graph/final-activation.ts';
import type { Graph, Node, Value } from '../../graph/graph.ts';
import { filled, uniform } from '../../zoo/initialize.ts';
import { weightSource } from '../program/parameters.ts';

/** The loss contains them: it starts from what they read. */
const SOFTMAX = ['Softmax', 'LogSoftmax'];
const SIGMOID = ['Sigmoid', 'HardSigmoid'];

/**
 * The numbers that a network gives for a picture: its classes, or 1 where one number decides between two.
 *
 * @throws {BnnError} E_UNSUPPORTED when the output is neither f32[N, classes] nor f32[N].
 */
export function outputsOf(graph: Graph, at: string): number {
  const [output] = graph.outputs;
  const shape = output?.shape;
  const isFloat = output?.dtype === 'float32';
  const outputs = shape?.length === 1 ? 1 : shape?.[1];
  if (
    isFloat &&
    typeof shape?.[0] !== 'number' &&
    (shape?.length === 1 || shape?.length === 2) &&
    typeof outputs === 'number'
  )
    return outputs;
  const type = isFloat ? '' : `${output?.dtype ?? 'of unknown type'} `;
  throw new BnnError('E_UNSUPPORTED', `the output is ${type}[${shape?.join(', ') ?? '?'}], expected [N, classes]`, {
    at,
    hint: 'bring the file into latent form (bnn-convert FILE -o latent.onnx), with one output that holds the logits',
  });
}

/**
 * Takes out what the loss does itself: softmax over the classes, and whatever the only number of a picture goes through at the end,
 * which changes no decision. With `replaced`, all that stands behind the layer to be replaced.
 *
 * @returns what was done, for people.
 * @throws {BnnError} E_UNSUPPORTED for several sigmoids, which are no classes that exclude each other.
 */
export function openHead(graph: Graph, outputs: number, replaced: boolean, at: string): string[] {
  const notes: string[] = [];
  for (let node = finalActivation(graph); node !== null; node = finalActivation(graph)) {
    const isSoftmax = SOFTMAX.includes(node.type);
    if (isSoftmax && !isOverClasses(node, outputs)) break;
    if (!isSoftmax && outputs > 1 && !replaced) {
      if (!SIGMOID.includes(node.type) || notes.length > 0) break;
      throw new BnnError(
        'E_UNSUPPORTED',
        `the network ends in ${node.type} of ${outputs} numbers, each a yes or no of its own: several labels for a picture, and the data have one`,
        {
          at: node.describe(),
          hint: `add --new-classifier to replace its end, or export the network of ${at} without the ${node.type}`,
        },
      );
    }
    const why = isSoftmax || node.is('Sigmoid') ? 'the loss contains it' : 'the loss takes what it reads';
    notes.push(`${node.describe()} at the end is left out: ${why}`);
    remove(graph, node);
    // Two sigmoids in a row decide elsewhere than the inner one alone.
    if (!isSoftmax) break;
  }
  if (replaced && outputs === 1) dropSqueezes(graph);
  return notes;
}

/** Whether a softmax makes one distribution of each picture. */
function isOverClasses(node: Node, outputs: number): boolean {
  const shape = node.requiredInput(0).shape;
  if (shape === null) return false;
  const axis = node.int('axis', -1);
  const size = shape[axis < 0 ? axis + shape.length : axis];
  return shape.length > 1 && (outputs === 1 || (size === outputs && shape[0] !== outputs));
}

/** What makes [N] of [N, 1], which would not take more classes. */
function dropSqueezes(graph: Graph): void {
  for (;;) {
    const [output] = graph.outputs;
    const node = output?.producer;
    if (!node || output?.shape?.length !== 1 || !['Squeeze', 'Reshape', 'Flatten'].some((op) => node.is(op))) return;
    remove(graph, node);
  }
}

function remove(graph: Graph, node: Node): void {
  graph.replaceAllUses(node.output, node.requiredInput(0));
  graph.removeNode(node);
}

/**
 * Replaces the layer that makes the logits, and a normalization behind it, by fresh ones: weights uniform in ±1/√fan-in.
 *
 * @param found  the outputs of the network so far.
 * @returns      the layer, for people.
 */
export function replaceClassifier(graph: Graph, found: number, classes: number, seed: number, at: string): string {
  const last = [...graph.nodes()].filter((node) => ['Gemm', 'MatMul', 'Conv'].some((op) => node.is(op))).at(-1);
  const source = last === undefined ? null : weightSource(last.requiredInput(1));
  if (last === undefined || source === null || last.int('group', 1) !== 1) {
    throw new BnnError(
      'E_UNSUPPORTED',
      'there is no last dense layer or convolution with constant weights to replace',
      {
        at,
        hint: 'change the network where it was made',
      },
    );
  }
  const { shape } = source.constant.constant as Tensor;
  const isOutFirst = last.is('Conv') || (last.is('Gemm') && last.int('transB', 0) !== 0);
  const axis = isOutFirst ? 0 : shape.length - 1;
  const outputs = shape[axis] ?? 0;
  if (outputs !== found) {
    throw new BnnError(
      'E_UNSUPPORTED',
      `the last layer, ${last.describe()}, has ${outputs} outputs, the network ${found}`,
      { at },
    );
  }
  const bound = 1 / Math.sqrt(elementCount(shape) / outputs);
  const resized = (sizes: readonly number[]) => sizes.map((size) => (size === found ? classes : size));
  const weight = shape.map((size, i) => (i === axis ? classes : size));
  const vectors = vectorsOf(last);
  replace(graph, source.constant, uniform(seed, 'classifier.weight', weight, bound));
  for (const [value, start] of vectors) replace(graph, value, filled(resized(value.constant?.shape ?? []), start));
  return last.describe();
}

/** A layer that is used several times stays one. */
function replace(graph: Graph, old: Value, data: Tensor): void {
  const fresh = graph.addConstant(`${old.name}.new`, data);
  for (const { node, index } of [...old.uses]) graph.setInput(node, index, fresh);
}

/** The bias of a layer, its own and that of an Add behind it, and the vectors of a normalization behind it, with what they start from. */
function vectorsOf(layer: Node): Map<Value, number> {
  const found = new Map<Value, number>();
  const add = (value: Value | null, start: number) => {
    if (value?.constant) found.set(value, start);
  };
  if (!layer.is('MatMul')) add(layer.input(2), 0);
  for (let node: Node | undefined = layer.output.uses[0]?.node; node !== undefined; node = node.output.uses[0]?.node) {
    if (node.is('Add')) for (const value of node.inputs) add(value, 0);
    else if (node.is('BatchNormalization'))
      for (const index of [1, 2, 3, 4]) add(node.input(index), index % 3 === 1 ? 1 : 0);
    else break;
  }
  return found;
}
