/**
 * Recognizes a quantizer that takes two values: QuantizeLinear with clips before or behind it, which leave two neighbouring integers.
 *
 *     x ──► Clip ──► QuantizeLinear ──► Clip        low for x < t, high for x ≥ t
 *
 * Every operator of the chain is monotone, and so is the chain: when it takes one value on both sides of t and at both ends of the
 * floats, it takes no third one. t is found by bisection over all float32, in the arithmetic of the operators.
 */

import type { Node, Value } from '../../graph/graph.ts';
import { numbersOf } from '../../rewriting/add-op.ts';
import { quantizer } from '../../rewriting/exact/quantizer.ts';
import type { Scalar, Step } from './step.ts';

export interface QuantizedStep extends Step {
  readonly source: Value;
  readonly nodes: readonly Node[];
}

/** The step function that ends in a node, or null. */
export function quantizedStep(node: Node): QuantizedStep | null {
  const nodes: Node[] = [];
  const functions: Scalar[] = [];
  let current: Node | null = node;
  let source: Value | null = null;
  let isQuantized = false;
  while (current !== null && nodes.length < MAX_NODES) {
    const link = linkOf(current);
    if (link === null || (isQuantized && link.quantizes)) break;
    isQuantized ||= link.quantizes;
    nodes.push(current);
    functions.unshift(link.apply);
    source = link.data;
    current = source.producer;
  }
  if (!isQuantized || source?.dtype !== 'float32') return null;
  const step = stepOf((x) => functions.reduce((value, apply) => apply(value), x), scaleOf(nodes));
  return step === null ? null : { ...step, source, nodes };
}

/** Longer chains are no quantizers. */
const MAX_NODES = 8;

interface Link {
  readonly data: Value;
  readonly apply: Scalar;
  readonly quantizes: boolean;
}

/** A monotone operator with constants for all that is not data. */
function linkOf(node: Node): Link | null {
  if (node.domain !== '' || node.outputs.length !== 1) return null;
  const data = node.input(0);
  if (data === null) return null;
  const link = (apply: Scalar, from = data): Link => ({ data: from, apply, quantizes: false });
  switch (node.op) {
    case 'QuantizeLinear': {
      const [scale, zero] = [uniform(node.input(1)), node.input(2) === null ? 0 : uniform(node.input(2))];
      const apply = scale === null || zero === null ? null : quantizer(node.output.dtype, scale, zero);
      return apply === null ? null : { data, apply, quantizes: true };
    }
    case 'Clip': {
      const low = node.input(1) === null ? -Infinity : uniform(node.input(1));
      const high = node.input(2) === null ? Infinity : uniform(node.input(2));
      return low === null || high === null ? null : link((x) => Math.min(high, Math.max(low, x)));
    }
    case 'Relu':
      return link((x) => Math.max(0, x));
    case 'Max':
    case 'Min': {
      const numbers = node.inputs.map(uniform);
      const at = numbers.indexOf(null);
      const bound = numbers[1 - at];
      const from = node.input(at);
      if (numbers.length !== 2 || at < 0 || bound == null || from === null) return null;
      return link((x) => Math[node.op === 'Max' ? 'max' : 'min'](x, bound), from);
    }
    default:
      return null;
  }
}

/** The number that all elements of a constant are. */
function uniform(value: Value | null): number | null {
  const [first, ...others] = new Set(numbersOf(value) ?? []);
  return first === undefined || others.length > 0 ? null : first;
}

/** The scale of the quantizer in a chain. */
function scaleOf(nodes: readonly Node[]): number {
  return uniform(nodes.find((node) => node.is('QuantizeLinear'))?.input(1) ?? null) ?? 1;
}

const LARGEST = 3.4028234663852886e38;

function stepOf(f: Scalar, scale: number): Step | null {
  const [below, above] = [f(-LARGEST), f(LARGEST)];
  if (below === above) return null;
  let [low, high] = [orderOf(-LARGEST), orderOf(LARGEST)];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (f(floatAt(middle)) === below) low = middle;
    else high = middle;
  }
  const [last, first] = [floatAt(low), floatAt(high)];
  if (f(last) !== below || f(first) !== above) return null;
  // (n + ½) · scale is the better one to compute with, where it is a float: it survives being added to a bias.
  const half = (Math.round(((last + first) / 2 / scale) * 2) / 2) * scale;
  return Math.abs(half - last) < Math.abs(half - first)
    ? { threshold: last, below, at: below, above }
    : { threshold: first, below, at: above, above };
}

const bits = new DataView(new ArrayBuffer(4));

/** Float32 numbers in order, as consecutive integers; −0 and +0 are 0. */
function orderOf(x: number): number {
  bits.setFloat32(0, x);
  const code = bits.getInt32(0);
  return code >= 0 ? code : -(code & 0x7fffffff);
}

function floatAt(order: number): number {
  bits.setUint32(0, order >= 0 ? order : (0x80000000 | -order) >>> 0);
  return bits.getFloat32(0);
}
