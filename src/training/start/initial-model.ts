/** Makes a network from a file ready to be trained on a data set: its batch open, its vectors its own, its sizes those of the data. */

import { encodePreprocessing, PREPROCESSING_KEY, parsePreprocessing } from '../../core/pictures/preprocessing.ts';
import { int64s, toNumbers } from '../../core/tensors/tensor.ts';
import { type Dataset, pictureFormOf } from '../../data/dataset.ts';
import { type ChannelStatistics, resolveNormalization } from '../../data/normalization.ts';
import { BnnError } from '../../errors.ts';
import type { Graph, Value } from '../../graph/graph.ts';
import { inferShapes } from '../../graph/infer/infer-shapes.ts';
import type { Model } from '../../graph/model.ts';
import { INFER_RULES } from '../../operators/registry.ts';
import type { Recipe } from '../recipes/recipe.ts';
import { openHead, outputsOf, replaceClassifier } from './network-head.ts';
import { unshareVectors } from './shared-vectors.ts';

const OPSET = 17;
const TO_LATENT = 'bring the file into latent form: bnn-convert FILE -o latent.onnx';

export interface InitialModel {
  readonly model: Model;
  /** What is not as in the file, in words. */
  readonly notes: readonly string[];
}

/** What a network must fit. */
type Pictures = Pick<Dataset, 'name' | 'classes' | 'channels' | 'height' | 'width' | 'mean' | 'std'> &
  Partial<Pick<Dataset, 'test'>>;
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
  unshareVectors(graph);
  infer(model, input);
  pinSqueezes(model, input);
  const classes = data.classes.length;
  const found = outputsOf(graph, at);
  const isBinary = found === 1 && classes === 2;
  if (found !== classes && !isBinary && !choices.newClassifier) {
    const says = found === 1 ? 'decides between two classes by one number' : `tells ${found} classes apart`;
    throw new BnnError('E_SHAPE', `the network ${says}, ${data.name} has ${classes}`, {
      at,
      hint: 'add --new-classifier to replace its last layer by a fresh one',
    });
  }
  notes.push(...openHead(graph, found, choices.newClassifier, at));
  if (choices.newClassifier) {
    notes.push(
      `the last layer, ${replaceClassifier(graph, found, classes, choices.seed, at)}, starts from random weights`,
    );
    infer(model, input);
    const outputs = outputsOf(graph, at);
    if (outputs !== classes) {
      throw new BnnError('E_SHAPE', `with a new last layer the network still has ${outputs} outputs`, {
        at,
        hint: 'something behind that layer fixes their number; export the network without it',
      });
    }
  } else if (isBinary) {
    const [below, above] = data.classes;
    notes.push(
      `one number decides, by binary cross-entropy: the network is trained to give more than 0 for "${above}", less for "${below}"`,
    );
    infer(model, input);
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

/** Without axes, a Squeeze would take the batch for one more size where it is 1. */
function pinSqueezes(model: Model, input: Value): void {
  for (const node of model.graph.nodes()) {
    const { shape } = node.inputs[0] ?? { shape: null };
    if (!node.is('Squeeze') || node.input(1) !== null || !shape) continue;
    const axes = shape.flatMap((size, axis) => (axis > 0 && size === 1 ? [axis] : []));
    model.graph.setInput(node, 1, model.graph.addConstant(`${node.output.name}.axes`, int64s(axes)));
    infer(model, input);
  }
}

/** Types of everything computed, from the input alone. */
function infer(model: Model, input: Value): void {
  model.graph.sortTopologically();
  for (const node of model.graph.nodes()) {
    for (const output of node.outputs) output.shape = null;
  }
  input.dtype = 'float32';
  inferShapes(model, INFER_RULES);
}

/** The file's statistics, unless the recipe asks for others. */
function setPreprocessing(model: Model, data: Pictures, { normalize }: Choices, at: string, notes: string[]): void {
  const text = model.metadata.get(PREPROCESSING_KEY);
  const own = text === undefined ? null : parsePreprocessing(text, at);
  const usesOwn = own !== null && normalize === 'dataset';
  const { mean, std } = resolveNormalization(usesOwn ? own : normalize, data);
  if (usesOwn) notes.push(`pixels are normalized as the file says (--normalize imagenet or none overrides it)`);
  const { name: dataset, classes } = data;
  const picture = pictureFormOf(data);
  if (own?.picture && own.picture.fit !== picture.fit) {
    const found = `the file was trained on pictures framed by --fit ${own.picture.fit}`;
    notes.push(`${found}; this run uses ${picture.fit}, and its models say so`);
  }
  model.metadata.set(PREPROCESSING_KEY, encodePreprocessing({ dataset, picture, mean, std, classes }));
}
