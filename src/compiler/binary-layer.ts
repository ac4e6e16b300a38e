/**
 * Packed layers under construction. Scale, bias and offset are kept in float64 beside the graph and rounded from there whenever they
 * change, so a chain of folds rounds once.
 */

import { float32, type Tensor } from '../core/tensors/tensor.ts';
import type { Attributes } from '../graph/attribute.ts';
import type { Node, Value } from '../graph/graph.ts';
import { BNN_DOMAIN, type OperatorSchema } from '../operators/definition.ts';
import { BNN_OPERATORS } from '../operators/registry.ts';
import { type LayerVariant, packedVariant, variantName } from '../operators/variants.ts';
import { addOp } from '../rewriting/add-op.ts';
import { assertFinite } from '../rewriting/context.ts';
import { nameOf } from '../rewriting/layers/layers.ts';
import { type Miss, miss } from '../rewriting/miss.ts';
import type { CompileContext, Epilogue } from './context.ts';

export interface BinaryLayer {
  readonly node: Node;
  readonly variant: LayerVariant;
  readonly epilogue: Epilogue;
  /** Number of output channels. */
  readonly outputs: number;
  /** Of its result: 4 for a convolution, 2 for a dense layer. */
  readonly rank: number;
}

/** What a layer may have taken in already, in this order, when something else is to be folded into it. */
type Stage = 'scale' | 'residual' | 'prelu';

/**
 * The packed layer that computes a value for the node `root` alone, or why there is none.
 *
 * @param latest  what follows the sum in float arithmetic: a fold that also works behind a residual says so.
 */
export function binaryLayerOf(
  value: Value | null,
  root: Node,
  context: CompileContext,
  latest: Stage = 'scale',
): BinaryLayer | Miss {
  const node = value?.producer ?? null;
  if (value === null || node === null) return miss(root, 'its input is not computed by a binary layer');
  const variant = packedVariant(node);
  if (variant === undefined) return miss(root, 'its input is computed by {}, not by a binary layer', node);
  if (value.isOutput()) return miss(node, 'the result of the binary layer is a graph output');
  if (value.uses.length !== 1) return miss(node, `the result of the binary layer has ${value.uses.length} uses`);
  if (variant.prelu && latest !== 'prelu') return miss(node, 'the binary layer has already taken in a PReLU');
  if (variant.add && latest === 'scale') return miss(node, 'the binary layer has already taken in a residual');
  return layerAt(node, variant, context);
}

/** A packed layer, or why it cannot be changed. */
export function layerAt(node: Node, variant: LayerVariant, context: CompileContext): BinaryLayer | Miss {
  if (variant.sign) return miss(node, 'the binary layer gives signs, no numbers');
  const epilogue = context.epilogues.get(node) ?? epilogueOf(node, context);
  if (epilogue === null) return miss(node, 'the parameters of the binary layer are not constant');
  return { node, variant, epilogue, outputs: epilogue.scale.length, rank: variant.layer === 'Conv' ? 4 : 2 };
}

/** An input of a packed layer by its name in the schema; null when the operator has none of that name. */
export function layerInput(node: Node, name: string): Value | null {
  const index = schemaOf(node.op).inputs.findIndex((input) => input.name === name);
  return index < 0 ? null : node.input(index);
}

function schemaOf(op: string): OperatorSchema {
  const definition = BNN_OPERATORS.get(op);
  if (definition === undefined) throw new Error(`internal: there is no operator bnn.${op}`);
  return definition.schema;
}

function epilogueOf(node: Node, context: CompileContext): Epilogue | null {
  const numbers = (name: string) => context.evaluate(layerInput(node, name))?.data ?? null;
  const [scale, bias, offset] = [numbers('scale'), numbers('bias'), numbers('offset')];
  if (scale === null || bias === null || (offset === null && layerInput(node, 'offset') !== null)) return null;
  return { scale, bias, offset };
}

export interface NewLayer {
  readonly variant: LayerVariant;
  readonly data: Value;
  readonly packed: Tensor<'uint8'>;
  readonly scale: Float64Array;
  readonly bias: Float64Array;
  readonly attributes: Attributes;
}

/** Puts a packed layer in front of the float layer `root` that it replaces. */
export function createLayer(root: Node, layer: NewLayer, context: CompileContext): Value {
  const { variant, data, packed, attributes, scale, bias } = layer;
  const stem = nameOf(root);
  const rounded = [roundChannels(scale, `${stem}.scale`, root), roundChannels(bias, `${stem}.bias`, root)];
  const weights = context.graph.addConstant(`${stem}.bits`, packed);
  const [scales, biases] = rounded.map((t, i) => context.graph.addConstant(`${stem}.${i === 0 ? 'scale' : 'bias'}`, t));
  const inputs = [data, weights, scales ?? null, biases ?? null];
  return addLayerNode(root, root, { variant, inputs, attributes, epilogue: { scale, bias, offset: null } }, context);
}

export interface LayerChange {
  readonly variant?: Partial<LayerVariant>;
  readonly data?: Value;
  readonly packed?: Tensor<'uint8'>;
  readonly residual?: Value;
  /** New numbers for inputs that hold one number per channel, by the input's name. */
  readonly channels?: Readonly<Record<string, Float64Array>>;
  /** For the record: what is taken in. */
  readonly folded: string;
}

/** Puts a changed copy of a layer in front of the node `root` that it takes in. */
export function extendLayer(layer: BinaryLayer, root: Node, change: LayerChange, context: CompileContext): Value {
  const { node } = layer;
  const { channels = {}, folded } = change;
  const variant = { ...layer.variant, ...change.variant };
  const stem = nameOf(node);
  const inputOf = (name: string): Value | null => {
    const old = layerInput(node, name);
    if (name === 'x') return change.data ?? old;
    if (name === 'residual') return change.residual ?? old;
    if (name === 'w' && change.packed !== undefined)
      return replaceConstant(old, change.packed, `${stem}.bits`, context);
    const numbers = channels[name];
    if (numbers === undefined) return old;
    return replaceConstant(old, roundChannels(numbers, `${stem}.${name}`, root), `${stem}.${name}`, context);
  };
  const inputs = schemaOf(nameOfVariant(variant)).inputs.map(({ name }) => inputOf(name));
  const epilogue = {
    scale: channels['scale'] ?? layer.epilogue.scale,
    bias: channels['bias'] ?? layer.epilogue.bias,
    offset: channels['offset'] ?? layer.epilogue.offset,
  };
  return addLayerNode(node, root, { variant, inputs, attributes: node.attributes, epilogue, folded }, context);
}

interface LayerNode {
  readonly variant: LayerVariant;
  readonly inputs: readonly (Value | null)[];
  readonly attributes: Attributes;
  readonly epilogue: Epilogue;
  readonly folded?: string;
}

function addLayerNode(replaced: Node, before: Node, layer: LayerNode, context: CompileContext): Value {
  const { attributes, epilogue, inputs, folded } = layer;
  const type = `${BNN_DOMAIN}.${nameOfVariant(layer.variant)}`;
  const output = addOp(context.graph, type, inputs, before, { name: replaced.name, attributes });
  const node = output.producer as Node;
  context.epilogues.set(node, epilogue);
  context.layers.move(replaced, node, folded);
  return output;
}

function nameOfVariant(variant: LayerVariant): string {
  const name = variantName(variant);
  if (name === undefined) throw new Error(`internal: there is no operator for ${JSON.stringify(variant)}`);
  return name;
}

function roundChannels(numbers: Float64Array, name: string, at: Node): Tensor<'float32'> {
  const rounded = float32([numbers.length], Float32Array.from(numbers));
  assertFinite(rounded.data, name, at);
  return rounded;
}

/** Reuses the constant of the old layer when only that layer reads it. */
function replaceConstant(old: Value | null, tensor: Tensor, name: string, { graph }: CompileContext): Value {
  if (old === null || old.constant === null || old.uses.length !== 1 || old.isOutput()) {
    return graph.addConstant(name, tensor);
  }
  graph.setConstant(old, tensor);
  return old;
}
