/** Everything a Model holds as plain data, so that two models can be compared. */

import type { Graph, Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';

const describeValue = ({ name, dtype, shape }: Value) => ({ name, dtype, shape });

export function describeGraph(graph: Graph) {
  return {
    name: graph.name,
    inputs: graph.inputs.map(describeValue),
    outputs: graph.outputs.map(describeValue),
    constants: Array.from(graph.constants(), ({ name, constant }) => ({ name, constant })),
    nodes: Array.from(graph.nodes(), (node) => ({
      type: node.type,
      name: node.name,
      inputs: node.inputs.map((value) => value?.name ?? null),
      outputs: node.outputs.map(describeValue),
      attributes: node.attributes,
    })),
  };
}

export function describeModel(model: Model) {
  return {
    irVersion: model.irVersion,
    opsets: [...model.opsets],
    metadata: [...model.metadata],
    producer: [model.producerName, model.producerVersion],
    docString: model.docString,
    graph: describeGraph(model.graph),
    functions: model.functions.map(({ domain, name, attributes, opsets, body }) => ({
      domain,
      name,
      attributes,
      opsets: [...opsets],
      body: describeGraph(body),
    })),
  };
}
