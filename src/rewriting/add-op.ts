/** New nodes with inferred types, and constants as plain numbers. */

import { type Tensor, toNumbers } from '../core/tensors/tensor.ts';
import type { Attributes } from '../graph/attribute.ts';
import type { Graph, Node, Value, ValueType } from '../graph/graph.ts';
import { inferNode } from '../graph/infer/infer-shapes.ts';
import { constantOf } from '../graph/infer/node-facts.ts';
import { INFER_RULES } from '../operators/registry.ts';
import { OPSET } from './opset.ts';

interface NewOp {
  readonly attributes?: Attributes;
  readonly name?: string;
  /** What its type is where inference does not know: that of the value in whose place it stands, say. */
  readonly like?: ValueType;
}

/**
 * Adds a node of one output in front of another node. The only way for rewrites to make operators.
 *
 * @param type  as in `Node.type`: `Conv`, `bnn.Sign`.
 * @returns     the output, its type inferred.
 */
export function addOp(
  graph: Graph,
  type: string,
  inputs: readonly (Value | null)[],
  before: Node,
  { attributes = {}, name = '', like }: NewOp = {},
): Value {
  const dot = type.lastIndexOf('.');
  const domain = type.slice(0, Math.max(dot, 0));
  const node = graph.addNode(type.slice(dot + 1), inputs, { domain, name, attributes, before });
  if (like !== undefined) {
    node.output.dtype = like.dtype;
    node.output.shape = like.shape;
  }
  const rule = INFER_RULES.get(node.type);
  if (rule !== undefined) inferNode(node, rule, OPSET);
  return node.output;
}

/** The number that a constant of one element is; null for anything else. */
export function scalarOf(value: Value | null): number | null {
  const tensor = constantOf(value);
  if (tensor === null || tensor.data.length !== 1) return null;
  // The way around toNumbers is for speed: rewrites ask this of every operand.
  return tensor.dtype.endsWith('float16') ? (toNumbers(tensor)[0] ?? null) : Number(tensor.data[0]);
}

/** The elements of a constant; null when the value is computed. */
export function numbersOf(value: Value | null): readonly number[] | null {
  const tensor: Tensor | null = constantOf(value);
  return tensor === null ? null : toNumbers(tensor);
}

/** True when broadcasting a constant of one element against a value of known rank leaves that rank as it is. */
export function keepsRank(constant: Value, other: Value): boolean {
  const rank = constant.shape?.length ?? 0;
  return rank === 0 || (other.shape !== null && rank <= other.shape.length);
}
