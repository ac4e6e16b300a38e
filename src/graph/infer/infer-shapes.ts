/** Shape and type inference over a whole graph. */

import { MAX_RANK } from '../../core/tensors/shape.ts';
import { BnnError } from '../../errors.ts';
import { formatShape } from '../format-type.ts';
import type { Node, Shape, Value, ValueType } from '../graph.ts';
import type { Model } from '../model.ts';
import { mismatch } from './dims.ts';
import type { InferRule, InferRules } from './rule.ts';

export interface InferOptions {
  /** Whether an operator without a rule is an error; otherwise its outputs keep the types they have. */
  readonly strict?: boolean;
}

/**
 * Sets dtype and shape of every computed value, in execution order. What a rule cannot tell stays as it was declared.
 *
 * @param model  its nodes are sorted topologically.
 * @throws {BnnError} E_SHAPE or E_FORMAT when a node's inputs do not fit it; E_UNSUPPORTED, with `strict`, for an operator
 *   without a rule.
 */
export function inferShapes(model: Model, rules: InferRules, { strict = false }: InferOptions = {}): void {
  for (const node of model.graph.nodes()) {
    const rule = rules.get(node.type);
    if (rule === undefined) {
      if (!strict) continue;
      throw new BnnError('E_UNSUPPORTED', `no shape rule for operator ${node.type}`, { at: node.describe() });
    }
    inferNode(node, rule, model.opsets.get(node.domain) ?? 1);
  }
}

/** Sets dtype and shape of the outputs of one node; what the rule cannot tell stays as it was declared. */
export function inferNode(node: Node, rule: InferRule, opset: number): void {
  assertOutputs(node);
  const types = rule(node, opset);
  for (const [i, output] of node.outputs.entries()) refine(node, output, types[i]);
}

/** Outputs of the standard operators that may have more than one, among those that have a rule. */
const MOST_OUTPUTS: ReadonlyMap<string, number> = new Map([
  ['BatchNormalization', 5],
  ['Dropout', 2],
  ['LayerNormalization', 3],
  ['MaxPool', 2],
  ['Split', Number.POSITIVE_INFINITY],
]);

/** What an operator has not cannot be read: a graph that does is nothing that a rewrite could keep right. */
function assertOutputs(node: Node): void {
  const most = MOST_OUTPUTS.get(node.type) ?? 1;
  if (node.outputs.length <= most) return;
  throw new BnnError('E_FORMAT', `${node.type} has ${node.outputs.length} outputs, expected at most ${most}`, {
    at: node.describe(),
  });
}

function refine(node: Node, value: Value, type: ValueType | undefined): void {
  if (type === undefined) return;
  assertPossible(node, type.shape);
  value.dtype = type.dtype ?? value.dtype;
  value.shape = refineShape(value.shape, type.shape);
}

/** Sizes come from constants of the file, which may hold any number. */
function assertPossible(node: Node, shape: Shape | null): void {
  if (shape === null) return;
  if (shape.length > MAX_RANK) throw mismatch(node, `${shape.length} dimensions`, `at most ${MAX_RANK}`);
  if (shape.some((dim) => typeof dim === 'number' && !(Number.isSafeInteger(dim) && dim >= 0))) {
    throw mismatch(node, `a result of shape ${formatShape(shape)}`, 'sizes of 0 or more');
  }
}

/** The inferred sizes; where they are unknown, the declared ones. */
function refineShape(declared: Shape | null, inferred: Shape | null): Shape | null {
  if (inferred === null) return declared;
  if (declared?.length !== inferred.length) return inferred;
  return inferred.map((dim, axis) => dim ?? declared[axis] ?? null);
}
