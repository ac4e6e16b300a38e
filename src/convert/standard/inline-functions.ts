/** Replaces calls of model-local functions by their bodies, so that what is inside them can be recognized. */

import { BnnError } from '../../errors.ts';
import type { Attributes } from '../../graph/attribute.ts';
import type { Graph, Node, Value } from '../../graph/graph.ts';
import type { GraphFunction, Model } from '../../graph/model.ts';

/** Each call of a function that calls functions multiplies the nodes. */
const MAX_NODES = 200_000;

/**
 * Inlines every function but those of the `bnn` domain, in place.
 *
 * @param model  verified, so that no function calls itself.
 * @throws {BnnError} E_UNSUPPORTED when the result would be too large, or a body is
 *   written against another operator set than the model.
 */
export function inlineFunctions(model: Model, at?: string): void {
  if (model.functions.every(({ domain }) => domain === 'bnn')) return;
  const findFunction = model.functionFinder();
  const sizes = new Map(model.functions.map((f) => [f, [...f.body.nodes()].length]));
  let count = 0;
  for (let isChanged = true; isChanged; ) {
    isChanged = false;
    for (const node of model.graph.nodes()) {
      const found = node.domain === 'bnn' ? undefined : findFunction(node);
      if (found === undefined) continue;
      assertSameOpset(model, found, at);
      count += 1 + (sizes.get(found) ?? 0);
      if (count > MAX_NODES) {
        throw new BnnError('E_UNSUPPORTED', `inlining its functions gives more than ${MAX_NODES} nodes`, { at });
      }
      inline(model.graph, node, found);
      isChanged = true;
    }
  }
  const kept = model.functions.filter(({ domain }) => domain === 'bnn');
  model.functions.splice(0, model.functions.length, ...kept);
}

function assertSameOpset(model: Model, { domain, name, opsets }: GraphFunction, at?: string): void {
  const [own, outer] = [opsets.get(''), model.opsets.get('')];
  if (own === undefined || outer === undefined || own === outer) return;
  throw new BnnError('E_UNSUPPORTED', `function ${domain}.${name} uses operator set ${own}, the model ${outer}`, {
    at,
    hint: 'export the model with its functions inlined',
  });
}

function inline(graph: Graph, call: Node, { body }: GraphFunction): void {
  const copies = new Map<Value, Value | null>();
  const callName = call.name === '' ? call.output.name : call.name;
  for (const [i, input] of body.inputs.entries()) copies.set(input, call.input(i));
  for (const value of body.constants())
    copies.set(value, graph.addConstant(`${call.output.name}.${value.name}`, value.constant));
  for (const node of body.nodes()) {
    const copy = graph.addNode(
      node.op,
      node.inputs.map((value) => (value === null ? null : (copies.get(value) ?? null))),
      {
        domain: node.domain,
        name: node.name === '' ? '' : `${callName}/${node.name}`,
        attributes: resolve(node.attributes, call.attributes),
        outputs: node.outputs.map((output) => graph.freshName(`${call.output.name}.${output.name}`)),
        before: call,
      },
    );
    for (const [i, output] of node.outputs.entries()) copies.set(output, copy.outputs[i] ?? null);
  }
  for (const [i, output] of call.outputs.entries()) {
    const inner = body.outputs[i];
    const replacement = inner === undefined ? null : (copies.get(inner) ?? null);
    if (replacement === null) continue;
    replacement.dtype ??= output.dtype;
    replacement.shape ??= output.shape;
    graph.replaceAllUses(output, replacement);
  }
  graph.removeNode(call);
}

/** Attributes of the caller take the place of references to them; an absent one is left out. */
function resolve(attributes: Attributes, given: Attributes): Attributes {
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([name, attribute]) => {
      if (attribute.kind !== 'reference') return [[name, attribute] as const];
      const value = Object.hasOwn(given, attribute.name) ? given[attribute.name] : undefined;
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}
