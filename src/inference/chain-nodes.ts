/** Which nodes a `BinaryChain` can take over, each by itself: what they compute there is the same to the bit, but for fast stems. */

import { isDtype } from '../core/tensors/tensor.ts';
import type { Node, Value } from '../graph/graph.ts';
import { type LayerVariant, packedVariant } from '../operators/variants.ts';
import { plainWindowOf } from '../rewriting/layers/float-layers.ts';
import { floatStemOf } from '../rewriting/layers/float-stem.ts';
import { type Int8Stem, int8StemOf } from './chain-int8-stem.ts';
import { inputsAfterWeights, type MaxPoolStep, type SelectStep, type StemConvStep } from './chain-program.ts';
import { pointwiseOf, type Stem, stemOf } from './chain-stem.ts';

/** By Winograd's filtering, with its pooling. */
type FastStem = Omit<StemConvStep, 'input'> & Pick<Stem, 'nodes' | 'data'>;

export type ChainNode =
  | Stem
  | Int8Stem
  | FastStem
  | { readonly kind: 'conv'; readonly variant: LayerVariant; readonly data: readonly number[] }
  | (Omit<SelectStep, 'input'> & { readonly data: readonly number[] })
  | (Omit<MaxPoolStep, 'input'> & { readonly data: readonly number[] });

/** Which first layers of a network are taken, too. Off unless told. */
export interface StemOptions {
  /** Float ones, and float shortcuts: see `chain-stem.ts`. */
  readonly stems?: boolean;
  /** Those in 8-bit integers: see `chain-int8-stem.ts`. */
  readonly int8Stems?: boolean;
  /** Float ones with their pooling, equal but for rounding: see `float-stem.ts`. */
  readonly fastStems?: boolean;
}

/** What a node is in a chain; null for any other. `data` are the places of its inputs that are computed. */
export function chainNodeOf(node: Node, options: StemOptions): ChainNode | null {
  if (node.outputs.length !== 1 || !isImage(node.output)) return null;
  const found =
    convOf(node) ??
    selectOf(node) ??
    signPoolOf(node) ??
    (options.stems === true ? shortcutOf(node) : null) ??
    readStemOf(node, options);
  if (found === null) return null;
  const batch = node.output.shape?.[0];
  const isFit = (value: Value) => isImage(value) && value.shape?.[0] === batch;
  return dataOf(node, found).every(isFit) ? found : null;
}

/** What a node of a chain takes from others. */
export function dataOf(node: Node, found: ChainNode): readonly Value[] {
  const [first = node] = nodesOf(node, found);
  return found.data.map((index) => first.requiredInput(index));
}

/** The nodes that one stands for, first to last. */
export function nodesOf(node: Node, found: ChainNode): readonly Node[] {
  return 'nodes' in found ? found.nodes : [node];
}

/** A float layer that binary layers alone read, with one before it. */
function shortcutOf(node: Node): Stem | null {
  const maker = node.input(0)?.producer;
  return maker != null && convOf(maker) !== null && isReadByBinary(node) ? pointwiseOf(node) : null;
}

/** A stem that binary layers alone read. */
function readStemOf(node: Node, options: StemOptions): Stem | Int8Stem | FastStem | null {
  const { stems = false, int8Stems = false, fastStems = false } = options;
  if (!isReadByBinary(node)) return null;
  const exact = (stems ? stemOf(node) : null) ?? (int8Stems ? int8StemOf(node) : null);
  if (exact !== null || !fastStems) return exact;
  const stem = floatStemOf(node);
  return stem && { kind: 'stemConv', ...stem, data: [0] };
}

function isReadByBinary({ output }: Node): boolean {
  const isRead = output.uses.every(({ node: reader }) => {
    const variant = packedVariant(reader);
    return variant?.layer === 'Conv' && !variant.weightOnly;
  });
  return isRead && !output.isOutput();
}

/** Of known size but for the number of images, which at least has a name. */
function isImage({ dtype, shape }: Value): boolean {
  if (dtype !== 'float32' || shape?.length !== 4 || shape[0] === null) return false;
  return shape.slice(1).every((size) => typeof size === 'number' && size > 0);
}

function convOf(node: Node): ChainNode | null {
  const variant = packedVariant(node);
  if (variant === undefined || variant.layer !== 'Conv' || variant.weightOnly) return null;
  const [x, w] = [node.requiredInput(0), node.requiredInput(1)];
  if (w.constant?.dtype !== 'uint8' || x.constant !== null) return null;
  const data = [0];
  for (const [i, name] of inputsAfterWeights(variant).entries()) {
    const value = node.requiredInput(i + 2);
    if (name === 'residual') {
      if (value.constant !== null || !isSameSize(value, node.output)) return null;
      data.push(i + 2);
      continue;
    }
    const size = name === 'x_threshold' ? x.shape?.[1] : w.constant.shape[0];
    if (value.constant === null || !isDtype(value.constant, 'float32')) return null;
    if (value.constant.shape.length !== 1 || value.constant.shape[0] !== size) return null;
  }
  return { kind: 'conv', variant, data };
}

function isSameSize(a: Value, b: Value): boolean {
  return a.shape?.length === b.shape?.length && a.shape?.every((size, i) => size === b.shape?.[i]) === true;
}

const isOf = (values: readonly number[], wanted: number) => values.every((value) => value === wanted);

/** Poolings of single elements, and Pad of channels. */
function selectOf(node: Node): ChainNode | null {
  if (node.is('AveragePool') || node.is('MaxPool')) {
    const window = plainWindowOf(node);
    if (window === null || !isOf(window.kernel, 1) || !isOf(window.pads, 0)) return null;
    return { kind: 'select', strides: window.strides, before: 0, after: 0, fill: 0, data: [0] };
  }
  if (!node.is('Pad') || node.string('mode', 'constant') !== 'constant' || node.input(3) !== null) return null;
  const [pads, fill] = [node.input(1)?.constant, node.input(2)];
  if (pads == null || pads.data.length !== 8 || (fill !== null && fill.constant?.dtype !== 'float32')) return null;
  const [, before = 0, ...others] = Array.from(pads.data, Number);
  const after = others[3] ?? 0;
  if (Number(pads.data[0]) !== 0 || before < 0 || after < 0 || !others.every((pad, i) => i === 3 || pad === 0))
    return null;
  return {
    kind: 'select',
    strides: [1, 1],
    before,
    after,
    fill: Number(fill?.constant?.data[0] ?? 0),
    data: [0],
  };
}

/** MaxPool of signs that nothing but binary layers read: the largest is +1 where any is. */
function signPoolOf(node: Node): ChainNode | null {
  const x = node.input(0);
  if (!node.is('MaxPool') || x === null || x.producer === null || node.output.isOutput()) return null;
  const made = packedVariant(x.producer);
  const window = plainWindowOf(node);
  if (made?.sign !== true || made.layer !== 'Conv' || window === null) return null;
  if (x.producer.int('group', 1) !== 1 || window.pads.some((pad, i) => pad >= (window.kernel[i % 2] ?? 0))) return null;
  const isRead = node.output.uses.every(({ node: reader, index }) => {
    const variant = packedVariant(reader);
    return (
      index === 0 &&
      variant?.layer === 'Conv' &&
      !variant.weightOnly &&
      !variant.threshold &&
      reader.int('group', 1) === 1
    );
  });
  return isRead ? { kind: 'maxPool', ...window, data: [0] } : null;
}
