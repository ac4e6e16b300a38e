/**
 * Packed layers under construction. Scale and bias are kept in float64 beside the graph and rounded from there whenever they
 * change, so a chain of folds rounds once.
 */

import { float32, type Tensor } from '../core/tensor.ts';
import type { Attributes } from '../graph/attribute.ts';
import type { Node, Value } from '../graph/graph.ts';
import { BNN_DOMAIN } from '../operators/definition.ts';
import { BNN_RULES } from '../operators/registry.ts';
import { LAYER_VARIANTS, type LayerVariant, variantName } from '../operators/variants.ts';
import { assertFinite, type CompileContext, type Epilogue } from './context.ts';
import { nameOf } from './layers.ts';
import { type Miss, miss } from './rewrite.ts';

export interface BinaryLayer {
  readonly node: Node;
  readonly variant: LayerVariant;
  readonly epilogue: Epilogue;
  /** Number of output channels. */
  readonly outputs: number;
  /** Of its result: 4 for a convolution, 2 for a dense layer. */
  readonly rank: number;
}

/** The packed layer that computes a value for the node `root` alone, or why there is none. */
export function binaryLayerOf(value: Value | null, root: Node, context: CompileContext): BinaryLayer | Miss {
  const node = value?.producer ?? null;
  if (value === null || node === null) return miss(root, 'its input is not computed by a binary layer');
  const variant = node.domain === BNN_DOMAIN ? LAYER_VARIANTS.get(node.op) : undefined;
  if (variant === undefined) return miss(root, `its input is computed by ${node.describe()}, not by a binary layer`);
  if (context.graph.isOutput(value)) return miss(node, 'the result of the binary layer is a graph output');
  if (value.uses.length !== 1) return miss(node, `the result of the binary layer has ${value.uses.length} uses`);
  if (variant.add) return miss(node, 'the binary layer has already taken in a residual');
  const epilogue = context.epilogues.get(node) ?? epilogueOf(node, context);
  if (epilogue === null) return miss(node, 'scale and bias of the binary layer are not constant');
  return { node, variant, epilogue, outputs: epilogue.scale.length, rank: variant.layer === 'Conv' ? 4 : 2 };
}

function epilogueOf(node: Node, context: CompileContext): Epilogue | null {
  const scale = context.evaluate(node.input(2));
  const bias = context.evaluate(node.input(3));
  return scale === null || bias === null ? null : { scale: scale.data, bias: bias.data };
}

export interface NewLayer {
  readonly variant: LayerVariant;
  readonly data: Value;
  readonly packed: Tensor<'uint8'>;
  readonly epilogue: Epilogue;
  readonly attributes: Attributes;
}

/** Puts a packed layer in front of the float layer `root` that it replaces. */
export function createLayer(root: Node, layer: NewLayer, context: CompileContext): Value {
  const { graph } = context;
  const stem = nameOf(root);
  const scale = roundChannels(layer.epilogue.scale, `${stem}.scale`, root);
  const bias = roundChannels(layer.epilogue.bias, `${stem}.bias`, root);
  const weights = graph.addConstant(`${stem}.bits`, layer.packed);
  const inputs = [
    layer.data,
    weights,
    graph.addConstant(`${stem}.scale`, scale),
    graph.addConstant(`${stem}.bias`, bias),
  ];
  return addLayerNode(root, root, layer.variant, inputs, layer.attributes, layer.epilogue, undefined, context);
}

export interface LayerChange {
  readonly epilogue?: Epilogue;
  readonly relu?: true;
  readonly residual?: Value;
  /** For the record: what is taken in. */
  readonly folded: string;
}

/** Puts a changed copy of a layer in front of the node `root` that it takes in. */
export function extendLayer(layer: BinaryLayer, root: Node, change: LayerChange, context: CompileContext): Value {
  const { node } = layer;
  const epilogue = change.epilogue ?? layer.epilogue;
  const variant: LayerVariant = {
    ...layer.variant,
    relu: layer.variant.relu || change.relu === true,
    add: change.residual !== undefined,
  };
  const inputs: Value[] = [node.requiredInput(0), node.requiredInput(1)];
  const stem = nameOf(node);
  if (change.epilogue === undefined) {
    inputs.push(node.requiredInput(2), node.requiredInput(3));
  } else {
    inputs.push(replaceChannels(node.requiredInput(2), epilogue.scale, `${stem}.scale`, root, context));
    inputs.push(replaceChannels(node.requiredInput(3), epilogue.bias, `${stem}.bias`, root, context));
  }
  if (change.residual !== undefined) inputs.push(change.residual);
  return addLayerNode(node, root, variant, inputs, node.attributes, epilogue, change.folded, context);
}

function addLayerNode(
  replaced: Node,
  before: Node,
  variant: LayerVariant,
  inputs: readonly Value[],
  attributes: Attributes,
  epilogue: Epilogue,
  folded: string | undefined,
  context: CompileContext,
): Value {
  const { name } = replaced;
  const node = context.graph.addNode(variantName(variant), inputs, { domain: BNN_DOMAIN, name, attributes, before });
  const [type] = BNN_RULES.get(node.type)?.(node, 17) ?? [];
  node.output.dtype = type?.dtype ?? null;
  node.output.shape = type?.shape ?? null;
  context.epilogues.set(node, epilogue);
  context.layers.move(replaced, node, folded);
  return node.output;
}

function roundChannels(numbers: Float64Array, name: string, at: Node): Tensor<'float32'> {
  const rounded = float32([numbers.length], Float32Array.from(numbers));
  assertFinite(rounded.data, name, at);
  return rounded;
}

/** Reuses the constant of the old layer when only that layer reads it. */
function replaceChannels(value: Value, numbers: Float64Array, name: string, at: Node, context: CompileContext): Value {
  const rounded = roundChannels(numbers, name, at);
  if (value.constant === null || value.uses.length !== 1 || context.graph.isOutput(value)) {
    return context.graph.addConstant(name, rounded);
  }
  context.graph.setConstant(value, rounded);
  return value;
}
