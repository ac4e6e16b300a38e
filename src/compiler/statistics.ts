/** What a model costs: parameters and multiply-adds per layer, binary and float, in latent as in packed form. */

import type { Tensor } from '../core/tensors/tensor.ts';
import type { Dim, Graph, Node, Shape, Value } from '../graph/graph.ts';
import type { Model } from '../graph/model.ts';
import { factsOf, passesOn } from '../operators/operator-facts.ts';
import { packedVariant } from '../operators/variants.ts';
import { RewriteContext } from '../rewriting/context.ts';
import { EqualConstants } from '../rewriting/equal-constants.ts';
import { packedOperandsOf } from '../rewriting/layers/layer-operands.ts';
import { LEAST_PARAMETER_BYTES } from '../rewriting/layers/layers.ts';
import { isMiss, type Miss } from '../rewriting/miss.ts';
import { resolvedPads } from '../rewriting/rewrites/resolve-auto-pad.ts';

/** Binary: both operands are signs. Weight-only: just the weight. */
export type LayerKind = 'binary' | 'weight-only' | 'float';

/** A node that multiplies or holds parameters. */
export interface LayerStatistics {
  readonly node: Node;
  readonly kind: LayerKind;
  /** Multiply-adds for one image (the first dimension of the output is the batch); null when a size is unknown. */
  readonly macs: number | null;
  /** Parameters by the bits that each takes: 1 where only its sign matters at inference, else those it is stored in. */
  readonly parameters: ReadonlyMap<number, number>;
  /** Of those, the ones of one bit, … */
  readonly oneBitParameters: number;
  /** … of 8-bit integers, … */
  readonly eightBitParameters: number;
  /** … and of 32 bits: the running statistics of batch normalization do not count. */
  readonly floatParameters: number;
}

export interface ParameterCounts {
  readonly total: number;
  readonly oneBit: number;
  readonly eightBit: number;
  readonly float: number;
  /** The float ones by operator type: `Conv`, `BatchNormalization`, `Gemm` … */
  readonly floatByType: ReadonlyMap<string, number>;
}

export interface MacCounts {
  readonly binary: number;
  readonly weightOnly: number;
  readonly float: number;
  /** Layers that are left out because their shapes are unknown. */
  readonly unknown: readonly Node[];
}

/**
 * Statistics of every node that multiplies or holds parameters, in execution order. Shapes must have been inferred. A parameter that
 * several nodes share, or that the model holds several times, counts for the first.
 */
export function layerStatistics(model: Model): LayerStatistics[] {
  const context = new RewriteContext(model);
  const search = new ParameterSearch(model.graph);
  const layers: LayerStatistics[] = [];
  for (const node of model.graph.nodes()) {
    const kind = layerKind(node, context);
    const parameters = search.of(node, kind);
    const macs = macsOf(node);
    if (macs === 0 && parameters.size === 0) continue;
    layers.push({
      node,
      kind,
      macs,
      parameters,
      oneBitParameters: parameters.get(1) ?? 0,
      eightBitParameters: parameters.get(8) ?? 0,
      floatParameters: parameters.get(32) ?? 0,
    });
  }
  return layers;
}

export function countParameters(model: Model): ParameterCounts {
  let total = 0;
  let oneBit = 0;
  let eightBit = 0;
  let float = 0;
  const floatByType = new Map<string, number>();
  for (const { node, parameters, oneBitParameters, eightBitParameters, floatParameters } of layerStatistics(model)) {
    for (const count of parameters.values()) total += count;
    oneBit += oneBitParameters;
    eightBit += eightBitParameters;
    float += floatParameters;
    if (floatParameters > 0) floatByType.set(node.type, (floatByType.get(node.type) ?? 0) + floatParameters);
  }
  return { total, oneBit, eightBit, float, floatByType };
}

/** Multiply-adds of one image. Shapes must have been inferred. */
export function countMacs(model: Model): MacCounts {
  const sums = { binary: 0, 'weight-only': 0, float: 0 };
  const unknown: Node[] = [];
  for (const { node, kind, macs } of layerStatistics(model)) {
    if (macs === null) unknown.push(node);
    else sums[kind] += macs;
  }
  return { binary: sums.binary, weightOnly: sums['weight-only'], float: sums.float, unknown };
}

/** What a layer is, or what the compiler makes of it. */
function layerKind(node: Node, context: RewriteContext): LayerKind {
  const variant = packedVariant(node);
  if (variant !== undefined) return variant.weightOnly ? 'weight-only' : 'binary';
  const operands = operandsOf(node, context);
  if (operands === null || isMiss(operands)) return 'float';
  return operands.weightOnly ? 'weight-only' : 'binary';
}

function operandsOf(node: Node, context: RewriteContext): { readonly weightOnly: boolean } | Miss | null {
  if (node.is('Conv')) {
    const isExplicit = node.string('auto_pad', 'NOTSET') === 'NOTSET' || !isMiss(resolvedPads(node));
    return isExplicit ? packedOperandsOf(node, context) : null;
  }
  const isMatrix = node.is('MatMul') && node.requiredInput(0).shape?.length === 2;
  return isMatrix || node.is('Gemm') ? packedOperandsOf(node, context) : null;
}

type Constant = Value & { readonly constant: Tensor };

/** A constant that a node reads, perhaps through operators on constants alone. */
interface Found {
  readonly value: Constant;
  /** Whether it goes through `bnn.Sign` on some way. */
  isSign: boolean;
  /** Whether its elements arrive, rather than scale, shape or place them. */
  isContent: boolean;
}

/** The nodes that data go through, and those of graph outputs; the others compute with constants alone. */
export function computingNodes(graph: Graph): ReadonlySet<Node> {
  const computing = new Set<Node>();
  for (const node of graph.nodes()) {
    const isConstant = node.inputs.every(
      (input) =>
        input === null || input.constant !== null || (input.producer !== null && !computing.has(input.producer)),
    );
    if (!isConstant || node.inputs.length === 0 || node.outputs.some((output) => output.isOutput())) {
      computing.add(node);
    }
  }
  return computing;
}

/** Finds the parameters of one node after another; each counts for the first that reads it. */
class ParameterSearch {
  readonly #computed: ReadonlySet<Node>;
  readonly #counted = new Set<Tensor | Value>();
  readonly #equal = new EqualConstants();

  constructor(graph: Graph) {
    this.#computed = computingNodes(graph);
  }

  /** Counts by bits. What is computed from constants counts where it meets data. */
  of(node: Node, kind: LayerKind): Map<number, number> {
    const counts = new Map<number, number>();
    if (!this.#computed.has(node)) return counts;
    const add = (bits: number, count: number) => counts.set(bits, (counts.get(bits) ?? 0) + count);
    const { parameters, statistics, elementwise, packedInput } = factsOf(node);
    const isPacked = packedVariant(node) !== undefined;
    for (const [index, input] of node.inputs.entries()) {
      if (input === null || statistics?.includes(index) === true) continue;
      const isListed = isPacked ? index > 0 : parameters?.includes(index) === true;
      for (const { value, isSign, isContent } of this.#constantsBehind(input)) {
        const { constant } = value;
        const count = constant.data.length;
        if (!(isListed && isContent) && constant.data.byteLength <= LEAST_PARAMETER_BYTES) continue;
        // A lone number, such as the factor of an average, is part of the formula rather than a parameter.
        if (count === 1 && elementwise !== undefined) continue;
        const identity = this.#equal.identityOf(value);
        if (this.#counted.has(identity)) continue;
        this.#counted.add(identity);
        if (isPacked && index === 1) add(1, packedCount(node));
        else if (isSign || (isContent && index === 1 && kind !== 'float')) add(1, count);
        else if (packedInput?.index === index) {
          const bits = node.int(packedInput.attribute, packedInput.bits);
          add(bits, Math.floor((constant.data.byteLength * 8) / Math.max(1, bits)));
        } else add(constant.data.BYTES_PER_ELEMENT * 8, count);
      }
    }
    return counts;
  }

  #constantsBehind(start: Value): Found[] {
    const found = new Map<Value, Found>();
    const seen = new Set<string>();
    const pending: (Omit<Found, 'value'> & { readonly value: Value })[] = [
      { value: start, isSign: false, isContent: true },
    ];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const { value, isSign, isContent } = next;
      const key = `${isSign} ${isContent} ${value.name}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const { producer } = value;
      if (isConstant(value)) {
        const known = found.get(value) ?? { value, isSign, isContent: false };
        const isNumber = value.constant.data.length === 1 && value !== start;
        known.isSign ||= isSign;
        known.isContent ||= isContent && !isNumber;
        found.set(value, known);
      } else if (producer !== null && !this.#computed.has(producer)) {
        const facts = factsOf(producer);
        const takesSign = isSign || producer.is('Sign', 'bnn');
        for (const [index, input] of producer.inputs.entries()) {
          if (input === null) continue;
          const isPassed = index === 0 || facts.elementwise === 'several' || passesOn(facts, index);
          pending.push({ value: input, isSign: takesSign, isContent: isContent && isPassed });
        }
      }
    }
    return [...found.values()];
  }
}

function isConstant(value: Value): value is Constant {
  return value.constant !== null;
}

/** Weights of a packed layer. */
function packedCount(node: Node): number {
  return multiply([node.requiredInput(1).shape?.[0] ?? null], packedTerms(node)) ?? 0;
}

/** Products per output of a packed layer, as sizes. */
function packedTerms(node: Node): readonly Dim[] | undefined {
  const shape = node.input(1)?.shape;
  return shape == null ? undefined : [...shape.slice(1, -1), node.int('channels', 0)];
}

/** Multiply-adds; 0 for an operator that only holds parameters or none. */
function macsOf(node: Node): number | null {
  if (packedVariant(node) !== undefined) return multiply(node.output.shape?.slice(1), packedTerms(node));
  const shape = (index: number): Shape | undefined => node.input(index)?.shape ?? undefined;
  const output = node.outputs[0]?.shape?.slice(1);
  switch (node.type) {
    case 'Conv':
    case 'ConvInteger':
    case 'com.microsoft.FusedConv':
      return multiply(output, shape(1)?.slice(1));
    case 'QLinearConv':
      return multiply(output, shape(3)?.slice(1));
    // Every element of the data meets every weight of its channel.
    case 'ConvTranspose':
      return multiply(shape(0)?.slice(2), shape(1));
    case 'Gemm':
    case 'com.microsoft.FusedGemm': {
      const k = shape(0)?.at(node.int('transA', 0) === 0 ? 1 : 0) ?? shape(1)?.at(node.int('transB', 0) === 0 ? 0 : 1);
      const n =
        output ??
        shape(1)
          ?.slice(node.int('transB', 0) === 0 ? 1 : 0)
          .slice(0, 1);
      return multiply(n, [k ?? null]);
    }
    case 'MatMul':
    case 'MatMulInteger':
      return multiply(output ?? outerSizes(shape(0), shape(1)), [shape(0)?.at(-1) ?? shape(1)?.at(-2) ?? null]);
    case 'QLinearMatMul':
      return multiply(output ?? outerSizes(shape(0), shape(3)), [shape(0)?.at(-1) ?? shape(3)?.at(-2) ?? null]);
    case 'com.microsoft.MatMulNBits':
      return multiply(shape(0)?.slice(1, -1), [node.int('K', 0), node.int('N', 0)]);
    // Steps times weights: the first dimension is time, the second the batch.
    case 'GRU':
    case 'LSTM':
    case 'RNN': {
      const steps = shape(0)?.[node.int('layout', 0) === 0 ? 0 : 1];
      const [input, recurrent] = [shape(1), shape(2)].map((sizes) => multiply(sizes));
      return typeof steps !== 'number' || input == null || recurrent == null ? null : steps * (input + recurrent);
    }
    case 'Einsum':
    case 'com.microsoft.FusedMatMul':
    case 'com.microsoft.NhwcFusedConv':
    case 'com.microsoft.QGemm':
      return null;
    default:
      return 0;
  }
}

/** Sizes of a product of matrices without the batch. */
function outerSizes(a: Shape | undefined, b: Shape | undefined): readonly Dim[] | undefined {
  return a === undefined || b === undefined ? undefined : [...a.slice(1, -1), b.at(-1) ?? null];
}

/** The product of all sizes; null when one is unknown. */
function multiply(...shapes: readonly (readonly Dim[] | undefined)[]): number | null {
  let product = 1;
  for (const shape of shapes) {
    if (shape === undefined) return null;
    for (const dim of shape) {
      if (typeof dim !== 'number') return null;
      product *= dim;
    }
  }
  return product;
}
