/** The steps of a graph. */

import { BnnError } from '../../errors.ts';
import type { Graph, Node, Value } from '../../graph/graph.ts';
import type { BuildContext, Fusion, Layout, Step } from './step.ts';
import { FUSIONS, STEP_BUILDERS } from './table.ts';

/**
 * In execution order; some stand for several nodes. Adds the layouts of what they compute.
 *
 * @throws {BnnError} E_UNSUPPORTED naming the first node that cannot be trained and why.
 */
export function buildSteps(graph: Graph, context: BuildContext, layouts: Map<Value, Layout>): Step[] {
  const fusions = new Map<Node, Fusion>();
  for (const node of graph.nodes()) {
    for (const fuse of FUSIONS) {
      const fusion = fuse(node);
      if (fusion !== null) fusions.set(fusion.at, fusion);
    }
  }
  const absorbed = new Set([...fusions.values()].flatMap((fusion) => fusion.absorbed));
  const steps: Step[] = [];
  for (const node of graph.nodes()) {
    if (absorbed.has(node)) continue;
    const step = fusions.get(node)?.build(context) ?? buildStep(node, context);
    layouts.set(step.output, step.layout);
    steps.push(step);
  }
  return [...steps.filter(addsToConstant), ...steps.filter((step) => !addsToConstant(step))];
}

/** What adds its gradient to that of a weight goes first, so that its backward pass comes last, when there is a sum to add to. */
function addsToConstant({ inputs, addsTo = [] }: Step): boolean {
  return addsTo.length > 0 && inputs.every((value) => value.constant !== null);
}

function buildStep(node: Node, context: BuildContext): Step {
  const builder = STEP_BUILDERS.get(node.type);
  if (builder === undefined) {
    throw new BnnError('E_UNSUPPORTED', `training does not know the operator ${node.type}`, {
      at: node.describe(),
      hint: `rebuild that part of the network from what it knows: ${[...STEP_BUILDERS.keys(), 'BatchNormalization'].sort().join(', ')}`,
    });
  }
  return builder(node, context);
}
