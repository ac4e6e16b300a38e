/** Makes a network from a file ready to be trained on a data set: its batch open, its vectors its own, its sizes those of the data. */

import { encodePreprocessing, PREPROCESSING_KEY, parsePreprocessing } from '../core/preprocessing.ts';
import { elementCount } from '../core/shape.ts';
import { int64s, type Tensor, toNumbers } from '../core/tensor.ts';
import type { Dataset } from '../data/dataset.ts';
import { type ChannelStatistics, resolveNormalization } from '../data/normalization.ts';
import { BnnError } from '../errors.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { inferShapes } from '../graph/infer/infer-shapes.ts';
import { STANDARD_RULES } from '../graph/infer/standard-rules.ts';
import type { Model } from '../graph/model.ts';
import { BNN_RULES } from '../operators/registry.ts';
import { filled, uniform } from '../zoo/initialize.ts';
import type { Recipe } from './recipe.ts';

/** Operators that the loss takes in itself: it starts from what they read. */
const FINAL = ['Softmax', 'LogSoftmax'];
const OPSET = 17;
const TO_LATENT = 'bring the file into latent form: bnn-convert FILE -o latent.onnx';

export interface InitialModel {
  readonly model: Model;
  /** What is not as in the file, in words. */
  readonly notes: readonly string[];
}

/** What a network must fit. */
type Pictures = Pick<Dataset, 'name' | 'classes' | 'channels' | 'height' | 'width' | 'mean' | 'std'>;
type Choices = Pick<Recipe, 'normalize' | 'newClassifier' | 'seed'>;

/**
 * Changes `model`, which was read from `at`.
 *
 * @throws {BnnError} E_UNSUPPORTED when it is no latent classifier for pictures, E_SHAPE when pictures or classes do not fit.
 */
export function prepareModel(model: Model, data: Pictures, choices: Choices, at: string): InitialModel {
  const { graph } = model;
  const notes: string[] = [];
  checkForm(model, at);
  const input = openInput(model, data, at);
  dropFinal(graph, notes);
  unshareVectors(graph);
  infer(model, input);
  const classes = data.classes.length;
  const found = classesOf(graph, at);
  if (found !== classes || choices.newClassifier) {
    if (!choices.newClassifier) {
      throw new BnnError('E_SHAPE', `the network tells ${found} classes apart, ${data.name} has ${classes}`, {
        at,
        hint: 'add --new-classifier to replace its last layer by a fresh one',
      });
    }
    notes.push(
      `the last layer, ${replaceClassifier(graph, found, classes, choices.seed, at)}, starts from random weights`,
    );
    infer(model, input);
    if (classesOf(graph, at) !== classes) {
      throw new BnnError('E_SHAPE', `with a new last layer the network still has ${classesOf(graph, at)} outputs`, {
        at,
        hint: 'something behind that layer fixes their number; export the network without it',
      });
    }
  }
  setPreprocessing(model, data, choices, at, notes);
  return { model, notes };
}

/** The normalization that a prepared model was given. */
export function normalizationOf(model: Model): ChannelStatistics {
  const { mean, std } = parsePreprocessing(model.metadata.get(PREPROCESSING_KEY) ?? '');
  return { mean, std };
}

function checkForm(model: Model, at: string): void {
  const opset = model.opsets.get('') ?? 1;
  if (opset !== OPSET) {
    throw new BnnError('E_UNSUPPORTED', `the model is of operator set ${opset}, expected ${OPSET}`, {
      at,
      hint: TO_LATENT,
    });
  }
  for (const node of model.graph.nodes()) {
    if (node.domain === 'bnn' && node.op !== 'Sign') {
      throw new BnnError(
        'E_UNSUPPORTED',
        `the model is in packed form, which holds no weights to train: ${node.describe()}`,
        {
          at,
          hint: 'give the latent model that it was made from, such as last/model.onnx of its run',
        },
      );
    }
  }
}

/** Gives the input the sizes of the pictures and an open batch. */
function openInput(model: Model, data: Pictures, at: string): Value {
  const { graph } = model;
  const [input, ...others] = graph.inputs;
  if (input === undefined || others.length > 0 || graph.outputs.length !== 1) {
    throw new BnnError(
      'E_UNSUPPORTED',
      `the graph has ${graph.inputs.length} inputs and ${graph.outputs.length} outputs, expected one each`,
      { at },
    );
  }
  const pictures = [data.channels, data.height, data.width];
  const sizes = input.shape?.slice(1) ?? [];
  const fits = input.shape?.length === 4 && sizes.every((size, i) => typeof size !== 'number' || size === pictures[i]);
  if (!fits) {
    throw new BnnError(
      'E_SHAPE',
      `the network takes ${input.name}[${input.shape?.join(', ') ?? '?'}], the pictures of ${data.name} are [N, ${pictures.join(', ')}]`,
      { at, hint: 'choose another --dataset, or --image-size where its pictures have various sizes' },
    );
  }
  const batch = input.shape?.[0];
  if (typeof batch === 'number') {
    infer(model, input);
    openReshapes(graph, batch);
  }
  input.shape = ['N', ...pictures];
  return input;
}

/** A file made for one batch size spells it out in reshapes; 0 keeps whatever comes in. */
function openReshapes(graph: Graph, batch: number): void {
  for (const node of graph.nodes()) {
    const target = node.is('Reshape') ? node.requiredInput(1).constant : null;
    if (target === null || node.int('allowzero', 0) !== 0) continue;
    const [first, ...rest] = toNumbers(target);
    if (first !== batch || node.requiredInput(0).shape?.[0] !== batch) continue;
    graph.setInput(node, 1, graph.addConstant(`${node.output.name}.shape`, int64s([0, ...rest])));
  }
}

function dropFinal(graph: Graph, notes: string[]): void {
  const [output] = graph.outputs;
  const node = output?.producer;
  if (output === undefined || !node || !FINAL.includes(node.type) || output.uses.length > 0) return;
  const axis = node.int('axis', -1);
  if (axis !== -1 && axis !== 1) return;
  notes.push(`${node.describe()} at the end is left out: the loss contains it`);
  graph.replaceAllUses(output, node.requiredInput(0));
  graph.removeNode(node);
}

/** Positions of vectors that are trained or move: exporters store equal ones once, but each layer trains its own. */
const VECTORS: ReadonlyMap<string, readonly number[]> = new Map(
  Object.entries<readonly number[]>({ BatchNormalization: [1, 2, 3, 4], Conv: [2], Gemm: [2] }),
);

function unshareVectors(graph: Graph): void {
  const taken = new Set<Value>();
  for (const node of graph.nodes()) {
    for (const index of VECTORS.get(node.type) ?? []) {
      const value = node.input(index);
      if (!value?.constant) continue;
      if (taken.has(value)) graph.setInput(node, index, graph.addConstant(value.name, value.constant));
      taken.add(value);
    }
  }
}

/** Types of everything computed, from the input alone. */
function infer(model: Model, input: Value): void {
  model.graph.sortTopologically();
  for (const node of model.graph.nodes()) {
    for (const output of node.outputs) output.shape = null;
  }
  input.dtype = 'float32';
  inferShapes(model, new Map([...STANDARD_RULES, ...BNN_RULES]));
}

function classesOf(graph: Graph, at: string): number {
  const shape = graph.outputs[0]?.shape;
  const classes = shape?.[1];
  if (shape?.length === 2 && typeof classes === 'number') return classes;
  throw new BnnError('E_UNSUPPORTED', `the output is [${shape?.join(', ') ?? '?'}], expected [N, classes]`, {
    at,
    hint: TO_LATENT,
  });
}

/**
 * Replaces weights and bias of the layer that makes the logits by fresh ones, uniform in ±1/√fan-in.
 *
 * @returns the layer, for people.
 */
function replaceClassifier(graph: Graph, found: number, classes: number, seed: number, at: string): string {
  const layers = [...graph.nodes()].filter((node) => ['Gemm', 'MatMul', 'Conv'].some((type) => node.is(type)));
  const last = layers.at(-1);
  const weight = last?.input(1)?.constant;
  if (last === undefined || weight === null || weight === undefined || last.int('group', 1) !== 1) {
    throw new BnnError(
      'E_UNSUPPORTED',
      'there is no last dense layer or convolution with constant float weights to replace',
      {
        at,
        hint: 'keep the last layer in float (bnn-convert --binarize does), or change the network where it was made',
      },
    );
  }
  const isOutFirst = last.is('Conv') || (last.is('Gemm') && last.int('transB', 0) !== 0);
  const axis = isOutFirst ? 0 : weight.shape.length - 1;
  const outputs = weight.shape[axis] ?? 0;
  if (outputs !== found) {
    throw new BnnError(
      'E_UNSUPPORTED',
      `the last layer, ${last.describe()}, has ${outputs} outputs, the network ${found}`,
      { at },
    );
  }
  const shape = weight.shape.map((size, i) => (i === axis ? classes : size));
  const bound = 1 / Math.sqrt(elementCount(weight.shape) / outputs);
  const fresh = (old: Value, index: number, node: Node, data: Tensor) =>
    graph.setInput(node, index, graph.addConstant(`${old.name}.new`, data));
  fresh(last.requiredInput(1), 1, last, uniform(seed, 'classifier.weight', shape, bound));
  for (const { node, index, value } of biasesOf(last))
    fresh(value, index, node, filled(resized(value, found, classes), 0));
  return last.describe();
}

/** The bias of a layer: its own, and that of an Add behind it. */
function biasesOf(layer: Node): { node: Node; index: number; value: Value }[] {
  const own = layer.is('MatMul') ? null : layer.input(2);
  const found = own?.constant ? [{ node: layer, index: 2, value: own }] : [];
  for (const { node } of layer.output.uses) {
    if (!node.is('Add')) continue;
    for (const [index, value] of node.inputs.entries()) if (value?.constant) found.push({ node, index, value });
  }
  return found;
}

function resized(value: Value, found: number, classes: number): number[] {
  return (value.constant?.shape ?? []).map((size) => (size === found ? classes : size));
}

/** The file's statistics, unless the recipe asks for others. */
function setPreprocessing(model: Model, data: Pictures, { normalize }: Choices, at: string, notes: string[]): void {
  const text = model.metadata.get(PREPROCESSING_KEY);
  const own = text === undefined ? null : parsePreprocessing(text, at);
  const usesOwn = own !== null && normalize === 'dataset';
  const { mean, std } = resolveNormalization(usesOwn ? own : normalize, data);
  if (usesOwn) notes.push(`pixels are normalized as the file says (--normalize imagenet or none overrides it)`);
  model.metadata.set(PREPROCESSING_KEY, encodePreprocessing({ dataset: data.name, mean, std, classes: data.classes }));
}
