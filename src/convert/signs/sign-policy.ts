/** The same model with another rule for signs at 0: how much a network depends on it. */

import type { Model } from '../../graph/model.ts';
import { addBnnFunctions } from '../../operators/registry.ts';
import { addOp } from '../../rewriting/add-op.ts';
import { cloneModel } from '../../rewriting/clone-model.ts';
import { RewriteContext } from '../../rewriting/context.ts';

export const ZERO_POLICIES = ['plus', 'minus', 'zero'] as const;
export type ZeroPolicy = (typeof ZERO_POLICIES)[number];

/**
 * A copy of a latent model in which every sign of an activation gives +1, −1 or 0 at 0. Signs of weights stay.
 *
 * @returns  null when the model has no sign of an activation.
 */
export function withZeroPolicy(model: Model, policy: ZeroPolicy): Model | null {
  const copy = cloneModel(model);
  const { graph } = copy;
  const context = new RewriteContext(copy);
  let count = 0;
  for (const node of [...graph.nodes()]) {
    if (!node.is('Sign') && !node.is('Sign', 'bnn')) continue;
    const x = node.requiredInput(0);
    if (context.isConstantExpression(x)) continue;
    count++;
    let y = addOp(
      graph,
      policy === 'zero' ? 'Sign' : 'bnn.Sign',
      [policy === 'minus' ? addOp(graph, 'Neg', [x], node) : x],
      node,
    );
    if (policy === 'minus') y = addOp(graph, 'Neg', [y], node);
    graph.replaceAllUses(node.output, y);
    graph.removeNode(node);
  }
  addBnnFunctions(copy);
  return count === 0 ? null : copy;
}
