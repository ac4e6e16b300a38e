/** Constant folding in float64. */

import { int64s } from '../../core/tensor.ts';
import type { Node } from '../../graph/graph.ts';
import type { CompileContext } from '../context.ts';
import { EVALUATORS } from '../evaluate.ts';
import { type Exact, exactOf } from '../exact.ts';
import type { Pass } from '../pass.ts';
import { removeDead } from '../rewrite.ts';

/** The sizes that a Shape node gives, when all that it selects are fixed; its input need not be constant. */
function evaluateShape(node: Node): Exact | null {
  const shape = node.requiredInput(0).shape?.slice(node.int('start', 0), node.attribute('end', 'int'));
  if (shape === undefined || !shape.every((size) => typeof size === 'number')) return null;
  return exactOf(int64s(shape));
}

function foldNode(node: Node, context: CompileContext, foldsSign: boolean): Exact | null {
  if (node.is('Shape')) return evaluateShape(node);
  const evaluate = EVALUATORS.get(node.type);
  if (evaluate === undefined || (node.is('Sign', 'bnn') && !foldsSign)) return null;
  const inputs: Exact[] = [];
  for (const input of node.inputs) {
    const exact = input?.constant == null ? null : context.evaluate(input);
    if (exact === null) return null;
    inputs.push(exact);
  }
  return context.foldNode(node, inputs, evaluate);
}

function foldConstants(context: CompileContext, foldsSign: boolean): boolean {
  const { graph } = context;
  let isChanged = false;
  for (const node of graph.nodes()) {
    // A graph output must be computed by a node.
    if (node.outputs.length !== 1 || graph.isOutput(node.output)) continue;
    const exact = foldNode(node, context, foldsSign);
    if (exact === null) continue;
    const folded = context.addExact(node.output.name, exact, node);
    graph.replaceAllUses(node.output, folded);
    removeDead(graph, node);
    isChanged = true;
  }
  return isChanged;
}

export const FOLD_CONSTANTS: Pass = {
  name: 'fold-constants',
  doc: 'Replaces operators on constants by their result: evaluated in float64, rounded when they are used. Keeps bnn.Sign.',
  rewrites: [],
  run: (_, context) => ({ changed: foldConstants(context, false) }),
};

export const FOLD_SIGNS: Pass = {
  name: 'fold-signs',
  doc: 'The same, including bnn.Sign of the weights that stay float.',
  rewrites: [],
  run: (_, context) => ({ changed: foldConstants(context, true) }),
};
