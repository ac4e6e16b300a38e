/** Constant folding in float64. */

import type { Node } from '../../graph/graph.ts';
import type { RewriteContext } from '../../rewriting/context.ts';
import { EVALUATORS } from '../../rewriting/exact/evaluators.ts';
import { type Exact, isAllFinite } from '../../rewriting/exact/exact.ts';
import { selectedSizes } from '../../rewriting/exact/movement.ts';
import type { Pass } from '../../rewriting/pass.ts';
import { foldNodes } from '../../rewriting/passes/fold-nodes.ts';

/** Stored smaller than what they give: weights in bytes or bits stay so where their layer stays float. */
const STORED_SMALL: ReadonlySet<string> = new Set(['BitShift', 'ConstantOfShape', 'DequantizeLinear', 'Expand']);

function foldNode(node: Node, context: RewriteContext, foldsSign: boolean): Exact | null {
  if (node.is('Shape')) return selectedSizes(node, node.requiredInput(0).shape);
  const evaluate = EVALUATORS.get(node.type);
  if (evaluate === undefined || STORED_SMALL.has(node.type) || (node.is('Sign', 'bnn') && !foldsSign)) return null;
  const inputs: Exact[] = [];
  for (const [i, input] of node.inputs.entries()) {
    const exact = input?.constant == null ? null : context.evaluateInput(node, i);
    // What the source itself has of infinities, in masks, is its own.
    if (exact === null || !isAllFinite(exact)) return null;
    inputs.push(exact);
  }
  return context.foldNode(node, inputs, evaluate);
}

export const FOLD_CONSTANTS: Pass = {
  name: 'fold-constants',
  doc: 'Replaces operators on constants by their result: evaluated in float64, rounded when they are used. Keeps bnn.Sign.',
  rewrites: [],
  run: (_, context) => ({ changed: foldNodes(context, (node) => foldNode(node, context, false)) }),
};

export const FOLD_SIGNS: Pass = {
  name: 'fold-signs',
  doc: 'The same, including bnn.Sign of the weights that stay float.',
  rewrites: [],
  run: (_, context) => ({ changed: foldNodes(context, (node) => foldNode(node, context, true)) }),
};
