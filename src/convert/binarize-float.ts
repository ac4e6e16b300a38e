/**
 * Makes the convolutions of a full-precision network binary, as a start for training.
 *
 *     before   Conv(x, W, b)
 *     after    Conv(bnn.Sign(x'), bnn.Sign(W)) · mean|W| + b
 *
 * x' is what stands in front of a ReLU (or of another operator that gives nothing below 0), since the sign of its result would be
 * +1 everywhere. The weights stay as latent weights. The result computes something else than the source: it is meant to be trained.
 *
 * Source: Rastegari et al., ECCV 2016, arXiv:1603.05279 (the factor), with one factor per layer.
 */

import { elementCount } from '../core/tensors/shape.ts';
import { BnnError } from '../errors.ts';
import { type Attributes, int } from '../graph/attribute.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import type { Model } from '../graph/model.ts';
import { addBnnFunctions } from '../operators/registry.ts';
import { addOp, scalarOf } from '../rewriting/add-op.ts';
import { cloneModel } from '../rewriting/clone-model.ts';
import { nameOf } from '../rewriting/layers/layers.ts';
import { removeDead } from '../rewriting/rewrite.ts';

export interface BinarizeOptions {
  /** Names of the layers to make binary; `*` stands for any characters. All convolutions but the first and the last unless told. */
  readonly only?: readonly string[] | undefined;
  /** Names of layers to leave in float, whatever else is said. */
  readonly except?: readonly string[] | undefined;
  /** Layers of fewer weights stay float. */
  readonly minWeights?: number | undefined;
  /** Dense layers too, apart from the last layer. */
  readonly dense?: boolean | undefined;
  /** Leaves the activations in float. */
  readonly weightsOnly?: boolean | undefined;
}

export interface Binarized {
  readonly model: Model;
  /** Names of the layers that became binary. */
  readonly layers: readonly string[];
  /** The others, and why. */
  readonly kept: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * Binarizes a latent model by rule. The source is not changed.
 *
 * @throws {BnnError} E_NOT_FOUND when a pattern fits no layer, E_UNSUPPORTED when nothing is left to binarize.
 */
export function binarizeFloat(source: Model, options: BinarizeOptions = {}): Binarized {
  const model = cloneModel(source);
  const { graph } = model;
  const layers = [...graph.nodes()].filter(isLayer);
  const rule = new Rule(layers, options);
  const done: string[] = [];
  const kept: { name: string; reason: string }[] = [];
  for (const node of layers) {
    const name = nameOf(node);
    const reason = rule.reasonToKeep(node);
    if (reason === null) {
      binarize(graph, node, options.weightsOnly === true);
      done.push(name);
    } else kept.push({ name, reason });
  }
  if (done.length === 0) {
    const why = kept.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
    throw new BnnError('E_UNSUPPORTED', `no layer can be made binary (${why})`, {
      at: `graph "${graph.name}"`,
      hint: 'name layers with --only, or allow dense ones with --dense',
    });
  }
  addBnnFunctions(model);
  return { model, layers: done, kept };
}

function isLayer(node: Node): boolean {
  return node.domain === '' && (node.op === 'Conv' || node.op === 'Gemm');
}

class Rule {
  readonly #only: readonly RegExp[];
  readonly #except: readonly RegExp[];
  readonly #options: BinarizeOptions;
  readonly #first: Node | undefined;
  readonly #last: Node | undefined;

  constructor(layers: readonly Node[], options: BinarizeOptions) {
    this.#options = options;
    this.#first = layers[0];
    this.#last = layers.at(-1);
    const names = layers.map(nameOf);
    this.#only = (options.only ?? []).map((pattern) => patternOf(pattern, names));
    this.#except = (options.except ?? []).map((pattern) => patternOf(pattern, names));
  }

  /** Null when the layer is to become binary. */
  reasonToKeep(node: Node): string | null {
    const name = nameOf(node);
    const weight = node.requiredInput(1);
    if (weight.constant === null)
      return weight.producer?.is('Sign', 'bnn') === true ? 'it is binary' : 'its weight is computed';
    if (weight.dtype !== 'float32') return `its weight is ${weight.dtype}`;
    if (this.#except.some((pattern) => pattern.test(name))) return 'excepted';
    const count = elementCount(weight.constant.shape);
    const least = this.#options.minWeights ?? 0;
    if (count < least) return `it has ${count} weights, fewer than ${least}`;
    if (this.#only.length > 0) return this.#only.some((pattern) => pattern.test(name)) ? null : 'not named';
    if (node === this.#first) return 'the first layer';
    if (node === this.#last) return 'the last layer';
    if (node.is('Gemm') && this.#options.dense !== true) return 'a dense layer';
    if (node.is('Conv') && weight.constant.shape[1] === 1) return 'a depthwise layer: its sums have few terms';
    return null;
  }
}

function patternOf(pattern: string, names: readonly string[]): RegExp {
  const escaped = pattern.replace(/[.+^${}()|[\]\\?]/g, '\\$&').replaceAll('*', '.*');
  const expression = new RegExp(`^${escaped}$`, 's');
  if (names.some((name) => expression.test(name))) return expression;
  throw new BnnError('E_NOT_FOUND', `no layer is called "${pattern}"`, { hint: `layers: ${names.join(', ')}` });
}

function binarize(graph: Graph, node: Node, weightsOnly: boolean): void {
  const [x, weight, bias] = [node.requiredInput(0), node.requiredInput(1), node.input(2)];
  const name = nameOf(node);
  const data = weightsOnly
    ? x
    : addOp(graph, 'bnn.Sign', [beforeRectifier(graph, x, node)], node, { name: `${name}.input_sign` });
  const signs = addOp(graph, 'bnn.Sign', [weight], node, { name: `${name}.weight_sign` });
  let y = addOp(graph, node.op, [data, signs], node, { attributes: node.attributes, name: node.name });
  const magnitude = addOp(graph, 'Abs', [weight], node, { name: `${name}.weight_abs` });
  const once: Attributes = { keepdims: int(0) };
  const scale = addOp(graph, 'ReduceMean', [magnitude], node, { attributes: once, name: `${name}.scale` });
  y = addOp(graph, 'Mul', [y, scale], node, { name: `${name}.scaled` });
  if (bias !== null) y = addOp(graph, 'Add', [y, biasOf(graph, bias, node)], node);
  graph.replaceAllUses(node.output, y);
  removeDead(graph, node);
}

/** The bias of a convolution, in the shape that is added to its result. */
function biasOf(graph: Graph, bias: Value, node: Node): Value {
  const constant = bias.constant;
  const rank = node.output.shape?.length ?? 4;
  if (node.is('Gemm') || constant === null) return bias;
  return graph.addConstant(bias.name, {
    ...constant,
    shape: [constant.data.length, ...new Array<number>(rank - 2).fill(1)],
  });
}

const RECTIFIERS = new Set(['Relu', 'Sigmoid', 'HardSigmoid', 'Softplus']);

/** What a rectifier reads, also across a max-pool, with which it can change places. */
function beforeRectifier(graph: Graph, x: Value, at: Node): Value {
  const node = x.producer;
  if (node === null || node.domain !== '') return x;
  if (RECTIFIERS.has(node.op) || (node.is('Clip') && (scalarOf(node.input(1)) ?? -1) >= 0))
    return node.requiredInput(0);
  if (!node.is('MaxPool') || node.outputs.length > 1) return x;
  const inner = node.requiredInput(0);
  const source = beforeRectifier(graph, inner, at);
  if (source === inner) return x;
  return addOp(graph, 'MaxPool', [source], at, { attributes: node.attributes, name: node.name });
}
