/** What a model costs: parameters and multiply-adds per layer, binary and float, in latent as in packed form. */

import type { Dim, Node, Shape, Value } from './graph.ts';
import type { Model } from './model.ts';

/** Binary: both operands are signs. Weight-only: just the weight. */
export type LayerKind = 'binary' | 'weight-only' | 'float';

/** A node that multiplies or holds parameters. */
export interface LayerStatistics {
  readonly node: Node;
  readonly kind: LayerKind;
  /** Multiply-adds for one image (the first dimension of the output is the batch); null when a size is unknown. */
  readonly macs: number | null;
  /** Parameters of which only the sign matters at inference. */
  readonly oneBitParameters: number;
  /** Weights that are stored in 8-bit integers. */
  readonly eightBitParameters: number;
  /** Trainable float parameters: the running statistics of batch normalization do not count. */
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

/** Which inputs of an operator are parameters when they are constant. */
const PARAMETER_INPUTS: ReadonlyMap<string, readonly number[]> = new Map(
  Object.entries<readonly number[]>({
    Conv: [1, 2],
    Gemm: [0, 1, 2],
    MatMul: [0, 1],
    BatchNormalization: [1, 2],
    InstanceNormalization: [1, 2],
    LayerNormalization: [1, 2],
    PRelu: [1],
    Add: [0, 1],
    Sub: [0, 1],
    Mul: [0, 1],
    Div: [0, 1],
  }),
);

/** The packed layers of the `bnn` domain, by the start of their names: x, packed signs, then floats of the epilogue. */
const PACKED = /^bnn\.Binary(?:Threshold|(Weight))?(?:Conv|Gemm)/;

/** Operators that only move elements, so that signs stay signs. */
const MOVES = new Set(['Identity', 'Flatten', 'Reshape', 'Transpose', 'Squeeze', 'Unsqueeze']);

/**
 * Statistics of every node that multiplies or holds parameters, in execution order. Shapes must have been inferred. A parameter that
 * several nodes share counts for the first.
 */
export function layerStatistics(model: Model): LayerStatistics[] {
  const counted = new Set<Value>();
  const layers: LayerStatistics[] = [];
  for (const node of model.graph.nodes()) {
    const layer = PACKED.test(node.type) ? packedLayer(node, counted) : standardLayer(node, counted);
    const isLayer = layer.macs !== 0 || layer.oneBitParameters + layer.eightBitParameters + layer.floatParameters > 0;
    if (isLayer) layers.push(layer);
  }
  return layers;
}

export function countParameters(model: Model): ParameterCounts {
  let oneBit = 0;
  let eightBit = 0;
  let float = 0;
  const floatByType = new Map<string, number>();
  for (const { node, oneBitParameters, eightBitParameters, floatParameters } of layerStatistics(model)) {
    oneBit += oneBitParameters;
    eightBit += eightBitParameters;
    float += floatParameters;
    if (floatParameters > 0) floatByType.set(node.type, (floatByType.get(node.type) ?? 0) + floatParameters);
  }
  return { total: oneBit + eightBit + float, oneBit, eightBit, float, floatByType };
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

function standardLayer(node: Node, counted: Set<Value>): LayerStatistics {
  let oneBitParameters = 0;
  let eightBitParameters = 0;
  let floatParameters = 0;
  for (const index of PARAMETER_INPUTS.get(node.type) ?? []) {
    const value = node.input(index);
    const latent = value === null ? null : signSource(value);
    const source = latent ?? storedSource(value);
    if (source === null || source.constant === null || counted.has(source)) continue;
    const count = source.constant.data.length;
    // A lone number, such as the factor of an average, is part of the formula rather than a parameter.
    if (count === 1 && ELEMENTWISE.has(node.op)) continue;
    counted.add(source);
    if (latent !== null) oneBitParameters += count;
    else if (source.constant.data.BYTES_PER_ELEMENT === 1) eightBitParameters += count;
    else floatParameters += count;
  }
  return {
    node,
    kind: kindOf(node),
    macs: standardMacs(node),
    oneBitParameters,
    eightBitParameters,
    floatParameters,
  };
}

const ELEMENTWISE = new Set(['Add', 'Sub', 'Mul', 'Div']);

function kindOf(node: Node): LayerKind {
  if (!['Conv', 'Gemm', 'MatMul'].includes(node.type)) return 'float';
  const [x, w] = [node.input(0), node.input(1)];
  if (w === null || signSource(w) === null) return 'float';
  return x !== null && signSource(x) !== null ? 'binary' : 'weight-only';
}

/** What `bnn.Sign` reads, when the value is its output or a rearrangement of that; else null. */
function signSource(value: Value): Value | null {
  let current: Value | null = value;
  while (current?.producer != null) {
    if (current.producer.is('Sign', 'bnn')) return current.producer.input(0);
    if (!MOVES.has(current.producer.type)) return null;
    current = current.producer.input(0);
  }
  return null;
}

/** What DequantizeLinear reads, when the value is its output; else the value. */
function storedSource(value: Value | null): Value | null {
  return value?.producer?.is('DequantizeLinear') === true ? value.producer.input(0) : value;
}

function standardMacs(node: Node): number | null {
  const shape = (index: number): Shape | null => node.input(index)?.shape ?? null;
  switch (node.type) {
    case 'Conv':
      return multiply(node.output.shape?.slice(1), shape(1)?.slice(1));
    case 'Gemm': {
      const k = shape(0)?.at(node.int('transA', 0) === 0 ? 1 : 0) ?? shape(1)?.at(node.int('transB', 0) === 0 ? 0 : 1);
      return multiply(node.output.shape?.slice(1), [k ?? null]);
    }
    case 'MatMul':
      return multiply(node.output.shape?.slice(1), [shape(0)?.at(-1) ?? shape(1)?.at(-2) ?? null]);
    default:
      return 0;
  }
}

function packedLayer(node: Node, counted: Set<Value>): LayerStatistics {
  const w = node.input(1);
  const perOutput = w?.shape == null ? undefined : [...w.shape.slice(1, -1), node.int('channels', 0)];
  const outputs = w?.shape?.[0] ?? null;
  let floatParameters = 0;
  for (const value of node.inputs.slice(2)) {
    if (value === null || value.constant === null || counted.has(value)) continue;
    counted.add(value);
    floatParameters += value.constant.data.length;
  }
  const isNew = w !== null && w.constant !== null && !counted.has(w);
  if (w !== null) counted.add(w);
  return {
    node,
    kind: PACKED.exec(node.type)?.[1] === undefined ? 'binary' : 'weight-only',
    macs: multiply(node.output.shape?.slice(1), perOutput),
    oneBitParameters: isNew ? (multiply([outputs], perOutput) ?? 0) : 0,
    eightBitParameters: 0,
    floatParameters,
  };
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
