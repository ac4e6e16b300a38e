/** The steps of a graph. */

import { BnnError } from '../../errors.ts';
import type { Graph, Node, Value } from '../../graph/graph.ts';
import type { BuildContext, Fusion, Layout, Step } from './step.ts';
import { FUSIONS, STEP_BUILDERS } from './table.ts';

/** Where the steps stand that depend on parameters alone, such as the sign of a weight. */
export type ParameterSteps = 'first' | 'near use';

/**
 * In execution order; some stand for several nodes. Adds the layouts of what they compute.
 *
 * @throws {BnnError} E_UNSUPPORTED naming the first node that cannot be trained and why.
 */
export function buildSteps(
  graph: Graph,
  context: BuildContext,
  layouts: Map<Value, Layout>,
  order: ParameterSteps = 'first',
): Step[] {
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
  if (order === 'near use') return nearTheirUse(steps, graph);
  // A backend that takes several of a kind at a time finds them side by side.
  const isFirst = (step: Step): boolean => addsToOthers(step) && step.inputs.every((value) => value.constant !== null);
  return [...steps.filter(isFirst), ...steps.filter((step) => !isFirst(step))];
}

/**
 * What depends on parameters alone, such as the sign of a weight, goes right before the first step that reads it: the backward pass,
 * which takes the steps from the last to the first, is then done with a parameter early, and its gradient can be sent to other processes
 * while the others are computed. Of the steps that read one parameter, what adds its gradient to that of the others goes first, so
 * that in the backward pass it comes last, when there is a sum to add to.
 */
function nearTheirUse(steps: readonly Step[], graph: Graph): Step[] {
  const dependent = new Set(graph.inputs);
  const pending = new Map<Value, Step>();
  const ordered: Step[] = [];
  const place = (step: Step): void => {
    pending.delete(step.output);
    for (const value of step.inputs) {
      const source = pending.get(value);
      if (source !== undefined) place(source);
    }
    if (!dependent.has(step.output) && !addsToOthers(step)) {
      const before = [...pending.values()].filter((other) => addsToOthers(other) && sharesParameter(step, other));
      for (const other of before) if (pending.has(other.output)) place(other);
    }
    ordered.push(step);
  };
  for (const step of steps) {
    if (step.inputs.some((value) => dependent.has(value))) {
      dependent.add(step.output);
      place(step);
    } else {
      pending.set(step.output, step);
    }
  }
  for (const step of [...pending.values()]) if (pending.has(step.output)) place(step);
  return ordered;
}

function addsToOthers({ addsTo = [] }: Step): boolean {
  return addsTo.length > 0;
}

function sharesParameter({ inputs }: Step, other: Step): boolean {
  return inputs.some((value) => value.constant !== null && other.inputs.includes(value));
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
