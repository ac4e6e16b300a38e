/** A copy of a model whose graph can be rewritten without touching the original. */

import { Graph, type Value } from '../graph/graph.ts';
import { Model } from '../graph/model.ts';

/** Copies values, nodes and names; tensors and functions, which nobody edits in place, are shared. */
export function cloneModel(model: Model): Model {
  const source = model.graph;
  const graph = new Graph(source.name);
  const copies = new Map<Value, Value>();
  const copyOf = (value: Value): Value => {
    const copy = copies.get(value);
    if (copy === undefined) throw new Error(`internal: ${value.name} is read before it is produced`);
    return copy;
  };
  for (const input of source.inputs) copies.set(input, graph.addInput(input.name, input));
  for (const value of source.constants()) copies.set(value, graph.addConstant(value.name, value.constant));
  for (const node of source.nodes()) {
    const copy = graph.addNode(
      node.op,
      node.inputs.map((value) => (value === null ? null : copyOf(value))),
      {
        domain: node.domain,
        name: node.name,
        attributes: node.attributes,
        outputs: node.outputs.map(({ name }) => name),
      },
    );
    for (const [i, output] of copy.outputs.entries()) {
      const original = node.outputs[i];
      if (original === undefined) continue;
      output.dtype = original.dtype;
      output.shape = original.shape;
      copies.set(original, output);
    }
  }
  for (const output of source.outputs) graph.addOutput(copyOf(output));

  const copy = new Model(graph);
  copy.irVersion = model.irVersion;
  copy.opsets.clear();
  for (const [domain, version] of model.opsets) copy.opsets.set(domain, version);
  for (const f of model.functions) copy.functions.push(f);
  for (const [key, value] of model.metadata) copy.metadata.set(key, value);
  copy.producerName = model.producerName;
  copy.producerVersion = model.producerVersion;
  copy.docString = model.docString;
  return copy;
}
