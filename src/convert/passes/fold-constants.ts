/**
 * Folds constant expressions. Expressions of a latent weight (of one that also goes through a sign) stay when the trainer has their
 * operators, so that a scaling factor such as mean|W| stays trainable.
 */

import type { Node, Value } from '../../graph/graph.ts';
import type { RewriteContext } from '../../rewriting/context.ts';
import { EVALUATORS } from '../../rewriting/exact/evaluators.ts';
import { type Exact, isAllFinite } from '../../rewriting/exact/exact.ts';
import { selectedSizes } from '../../rewriting/exact/movement.ts';
import type { Pass } from '../../rewriting/pass.ts';
import { foldNodes } from '../../rewriting/passes/fold-nodes.ts';

/** Operators of scaling factors and layouts, behind which a latent weight stays trainable. */
const TRAINABLE: ReadonlySet<string> = new Set([
  ...['Abs', 'Neg', 'Sqrt', 'Identity', 'Add', 'Sub', 'Mul', 'Div', 'ReduceMean'],
  ...['Reshape', 'Unsqueeze', 'Squeeze', 'Transpose', 'Cast', 'Gather', 'Concat'],
]);

/** Deeper expressions are folded, since looking through one may take twice as long for each level. */
const MAX_KEPT_DEPTH = 12;

/** True for a constant that also goes through a sign. */
function isLatent(value: Value): boolean {
  return value.dtype === 'float32' && value.uses.some(({ node }) => node.is('Sign', 'bnn') || node.is('Sign'));
}

class Folder {
  readonly #context: RewriteContext;
  readonly #foldsTernary: boolean;
  /** Levels of operators above latent weights, for nodes that are kept. */
  readonly #depths = new Map<Node, number>();

  constructor(context: RewriteContext, foldsTernary: boolean) {
    this.#context = context;
    this.#foldsTernary = foldsTernary;
  }

  /** What to replace the node by; null when it stays. */
  fold(node: Node): Exact | null {
    if (node.is('Shape')) return selectedSizes(node, node.requiredInput(0).shape);
    const isSign = node.is('Sign', 'bnn') || (node.is('Sign') && !this.#foldsTernary);
    const evaluate = EVALUATORS.get(node.type);
    const depth = evaluate === undefined ? null : this.#depthOf(node);
    if (evaluate === undefined || depth === null) return null;
    if (isSign || (TRAINABLE.has(node.type) && depth > 0 && depth < MAX_KEPT_DEPTH)) {
      this.#depths.set(node, Math.max(1, depth));
      return null;
    }
    const inputs: Exact[] = [];
    for (const i of node.inputs.keys()) {
      const exact = this.#context.evaluateInput(node, i);
      if (exact === null) return null;
      inputs.push(exact);
    }
    const exact = this.#context.foldNode(node, inputs, evaluate);
    return exact !== null && isAllFinite(exact) ? exact : null;
  }

  /** 0 when nothing latent takes part, null when an input is not constant. */
  #depthOf(node: Node): number | null {
    let depth = 0;
    for (const input of node.inputs) {
      if (input === null) continue;
      if (input.constant !== null) {
        if (isLatent(input)) depth = Math.max(depth, 1);
        continue;
      }
      const below = input.producer === null ? undefined : this.#depths.get(input.producer);
      if (below === undefined) return null;
      depth = Math.max(depth, below + 1);
    }
    return depth;
  }
}

function foldAll(context: RewriteContext, foldsTernary: boolean): boolean {
  const folder = new Folder(context, foldsTernary);
  return foldNodes(context, (node) => folder.fold(node));
}

export const FOLD_FOREIGN_CONSTANTS: Pass = {
  name: 'fold-foreign-constants',
  doc: 'Replaces operators on constants by their result; keeps signs and expressions of latent weights.',
  rewrites: [],
  run: (_, context) => ({ changed: foldAll(context, false) }),
};

export const FOLD_TERNARY: Pass = {
  name: 'fold-ternary',
  doc: 'The same, including the standard Sign of weights that hold zeros: those layers stay ternary.',
  rewrites: [],
  run: (_, context) => ({ changed: foldAll(context, true) }),
};
