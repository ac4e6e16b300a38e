/** Runs models in stock onnxruntime, with nothing of ours registered. */

import * as ort from 'onnxruntime-node';
import type { Tensor } from '../../src/core/tensors/tensor.ts';
import type { Attributes } from '../../src/graph/attribute.ts';
import { Graph } from '../../src/graph/graph.ts';
import { Model } from '../../src/graph/model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { addBnnFunctions, BNN_OPERATORS } from '../../src/operators/registry.ts';

export type RunOptions = Pick<
  ort.InferenceSession.SessionOptions,
  'graphOptimizationLevel' | 'optimizedModelFilePath' | 'extra'
>;

/** Runs a model and returns the data of its first output. */
export async function runStock(
  model: Model,
  feeds: Readonly<Record<string, Tensor>>,
  options: RunOptions = {},
): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(encodeModel(model), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    ...options,
  });
  try {
    const inputs = Object.entries(feeds).map(([name, { dtype, data, shape }]) => [
      name,
      new ort.Tensor(dtype as 'float32', data as Float32Array, [...shape]),
    ]);
    const results = await session.run(Object.fromEntries(inputs) as Record<string, ort.Tensor>);
    return results[session.outputNames[0]!]!.data as Float32Array;
  } finally {
    await session.release();
  }
}

/** A model of one `bnn` node: x and the residual are graph inputs, everything else is a constant, as in a deployed file. */
export function oneNodeModel(name: string, inputs: readonly Tensor[], attributes: Attributes): Model {
  const graph = new Graph();
  const names = BNN_OPERATORS.get(name)!.schema.inputs.map((input) => input.name);
  const values = inputs.map((t, i) =>
    names[i] === 'x' || names[i] === 'residual'
      ? graph.addInput(names[i]!, { dtype: t.dtype, shape: t.shape })
      : graph.addConstant(names[i]!, t),
  );
  const node = graph.addNode(name, values, { domain: 'bnn', name: 'layer', attributes, outputs: ['y'] });
  node.output.dtype = 'float32';
  graph.addOutput(node.output);
  const model = new Model(graph);
  addBnnFunctions(model);
  return model;
}

/** Runs one `bnn` node through its function body. */
export async function runNode(
  name: string,
  inputs: readonly Tensor[],
  attributes: Attributes,
  options: RunOptions = {},
): Promise<Float32Array> {
  const names = BNN_OPERATORS.get(name)!.schema.inputs.map((input) => input.name);
  const feeds: Record<string, Tensor> = {};
  for (const [i, t] of inputs.entries()) {
    if (names[i] === 'x' || names[i] === 'residual') feeds[names[i]!] = t;
  }
  return runStock(oneNodeModel(name, inputs, attributes), feeds, options);
}
