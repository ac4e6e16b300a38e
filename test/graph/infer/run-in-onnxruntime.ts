/** The independent reference of the shape rules: what onnxruntime really computes. Models are encoded by the package onnx-proto. */

import { onnx } from 'onnx-proto';
import { InferenceSession } from 'onnxruntime-node';
import { bytesOf, type Dtype } from '../../../src/core/tensors/tensor.ts';
import type { Attribute } from '../../../src/graph/attribute.ts';
import type { Model } from '../../../src/graph/model.ts';

const { DataType } = onnx.TensorProto;
const TYPES: Partial<Record<Dtype, number>> = {
  float32: DataType.FLOAT,
  float64: DataType.DOUBLE,
  int8: DataType.INT8,
  uint8: DataType.UINT8,
  int32: DataType.INT32,
  uint32: DataType.UINT32,
  int64: DataType.INT64,
  bool: DataType.BOOL,
};

export interface OutputType {
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** Types of the outputs of a model whose inputs are all constants. */
export async function outputTypes(model: Model): Promise<OutputType[]> {
  const { graph } = model;
  const proto = onnx.ModelProto.create({
    irVersion: 8,
    opsetImport: Array.from(model.opsets, ([domain, version]) => ({ domain, version })),
    graph: {
      name: 'main',
      initializer: Array.from(graph.constants(), ({ name, constant }) => ({
        name,
        dataType: TYPES[constant.dtype] ?? 0,
        dims: [...constant.shape],
        rawData: bytesOf(constant),
      })),
      node: Array.from(graph.nodes(), (node) => ({
        opType: node.op,
        domain: node.domain,
        input: node.inputs.map((value) => value?.name ?? ''),
        output: node.outputs.map(({ name }) => name),
        attribute: Object.entries(node.attributes).map(([name, attribute]) => encodeAttribute(name, attribute)),
      })),
      output: graph.outputs.map(({ name }) => ({ name })),
    },
  });
  const session = await InferenceSession.create(onnx.ModelProto.encode(proto).finish(), { logSeverityLevel: 3 });
  try {
    const results = await session.run({});
    return graph.outputs.map(({ name }) => ({ dtype: results[name]!.type, shape: results[name]!.dims }));
  } finally {
    await session.release();
  }
}

function encodeAttribute(name: string, attribute: Attribute): onnx.IAttributeProto {
  const { AttributeType } = onnx.AttributeProto;
  switch (attribute.kind) {
    case 'int':
      return { name, type: AttributeType.INT, i: attribute.value };
    case 'float':
      return { name, type: AttributeType.FLOAT, f: attribute.value };
    case 'string':
      return { name, type: AttributeType.STRING, s: new TextEncoder().encode(attribute.value) };
    case 'ints':
      return { name, type: AttributeType.INTS, ints: [...attribute.value] };
    case 'floats':
      return { name, type: AttributeType.FLOATS, floats: [...attribute.value] };
    case 'tensor': {
      const { dtype, shape } = attribute.value;
      const t = { dataType: TYPES[dtype] ?? 0, dims: [...shape], rawData: bytesOf(attribute.value) };
      return { name, type: AttributeType.TENSOR, t };
    }
    default:
      throw new Error(`not needed here: ${attribute.kind}`);
  }
}
