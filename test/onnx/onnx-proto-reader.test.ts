/** Files of this project as the npm package onnx-proto (protobufjs 6, ONNX 1.10) reads them. */

import { onnx } from 'onnx-proto';
import { describe, expect, test } from 'vitest';
import { bytesOf, createArray, DTYPES, type Tensor } from '../../src/core/tensors/tensor.ts';
import { type Attribute, reference } from '../../src/graph/attribute.ts';
import { Graph } from '../../src/graph/graph.ts';
import { Model } from '../../src/graph/model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { AttributeProtoAttributeType, TensorProtoDataType } from '../../src/onnx/generated/onnx.ts';
import { CONV_BIAS, CONV_WEIGHT, convModel, functionModel } from './sample-models.ts';

const read = (model: Model) => onnx.ModelProto.decode(encodeModel(model));
const utf8 = (text: string) => new TextEncoder().encode(text);

describe('onnx-proto reads', () => {
  test('every field of the convolution model', () => {
    const f32 = (dims: object[]) => ({ tensorType: { elemType: 1, shape: { dim: dims } } });
    expect(onnx.ModelProto.toObject(read(convModel()), { longs: Number })).toEqual({
      irVersion: 8,
      producerName: 'bnn-toolchain',
      producerVersion: '1.2.3',
      docString: 'a convolution',
      opsetImport: [{ domain: '', version: 17 }],
      metadataProps: [{ key: 'purpose', value: 'test' }],
      graph: {
        name: 'conv',
        node: [
          {
            input: ['x', 'W', 'b'],
            output: ['conv'],
            name: 'conv1',
            opType: 'Conv',
            attribute: [
              { name: 'pads', type: 7, ints: [1, 1, 1, 1] },
              { name: 'kernel_shape', type: 7, ints: [3, 3] },
              { name: 'group', type: 2, i: 1 },
            ],
          },
          { input: ['conv'], output: ['y'], opType: 'Relu' },
        ],
        initializer: [
          { name: 'W', dims: [2, 1, 3, 3], dataType: 1, rawData: new Uint8Array(CONV_WEIGHT.buffer) },
          { name: 'b', dims: [2], dataType: 1, rawData: new Uint8Array(CONV_BIAS.buffer) },
        ],
        input: [{ name: 'x', type: f32([{ dimValue: 1 }, { dimValue: 1 }, { dimValue: 4 }, { dimValue: 4 }]) }],
        output: [{ name: 'y', type: f32([{ dimParam: 'N' }, { dimValue: 2 }, {}, { dimValue: 4 }]) }],
        valueInfo: [{ name: 'conv', type: f32([{ dimValue: 1 }, { dimValue: 2 }, { dimValue: 4 }, { dimValue: 4 }]) }],
      },
    });
  });

  test('functions with references to attributes of the caller', () => {
    const [sign, scaled] = read(functionModel()).functions.map((f) =>
      onnx.FunctionProto.toObject(f as onnx.FunctionProto, { longs: Number }),
    );
    expect(sign).toMatchObject({ name: 'Sign', domain: 'bnn', input: ['x'], output: ['y'] });
    const constants = sign?.['node'].filter((node: onnx.INodeProto) => node.opType === 'Constant');
    expect(constants.map((node: onnx.INodeProto) => node.attribute?.[0]?.t?.rawData)).toEqual(
      [0, 1, -1].map((value) => new Uint8Array(Float32Array.of(value).buffer)),
    );
    expect(scaled).toMatchObject({ attribute: ['alpha', 'axes'] });
    expect(scaled?.['opsetImport']).toEqual([
      { domain: '', version: 17 },
      { domain: 'bnn', version: 1 },
    ]);
    expect(scaled?.['node'].slice(1, 3)).toEqual([
      { output: ['alpha'], opType: 'Constant', attribute: [{ name: 'value_float', type: 1, refAttrName: 'alpha' }] },
      { output: ['axes'], opType: 'Constant', attribute: [{ name: 'value_ints', type: 7, refAttrName: 'axes' }] },
    ]);
  });

  test.each(DTYPES)('a constant of dtype %s', (dtype) => {
    const data = createArray(dtype, 3);
    new Uint8Array(data.buffer).set([1, 0, 1]);
    const graph = new Graph();
    graph.addConstant('c', { dtype, shape: [3, 1], data } as Tensor);
    const [constant] = read(new Model(graph)).graph?.initializer ?? [];
    const names = { float32: 'FLOAT', float64: 'DOUBLE' } as Partial<Record<typeof dtype, string>>;
    const name = (names[dtype] ?? dtype.toUpperCase()) as keyof typeof onnx.TensorProto.DataType;
    expect(constant?.dataType).toBe(onnx.TensorProto.DataType[name]);
    expect(constant?.dims?.map(Number)).toEqual([3, 1]);
    expect(constant?.rawData).toEqual(new Uint8Array(data.buffer));
  });

  test('attributes of every kind, to the last bit', () => {
    const value: Tensor = { dtype: 'int64', shape: [], data: BigInt64Array.of(-(2n ** 63n)) };
    const attributes: Record<string, Attribute> = {
      int: { kind: 'int', value: -(2 ** 53) },
      float: { kind: 'float', value: 0.1 },
      string: { kind: 'string', value: 'größe' },
      tensor: { kind: 'tensor', value },
      ints: { kind: 'ints', value: [-1, 2 ** 53, 0] },
      floats: { kind: 'floats', value: [0.5, -Infinity] },
      strings: { kind: 'strings', value: ['', 'SAME'] },
      reference: reference('other', 'strings'),
    };
    const graph = new Graph();
    graph.addNode('Op', [null, graph.addInput('x', { dtype: 'float32', shape: [] }), null], {
      attributes,
      outputs: ['y', 'z'],
    });
    const node = read(new Model(graph)).graph?.node?.[0];
    expect(node?.input).toEqual(['', 'x', '']);
    expect(node?.output).toEqual(['y', 'z']);
    const found = node?.attribute?.map((a) =>
      onnx.AttributeProto.toObject(a as onnx.AttributeProto, { longs: String }),
    );
    expect(found).toEqual([
      { name: 'int', type: 2, i: '-9007199254740992' },
      { name: 'float', type: 1, f: Math.fround(0.1) },
      { name: 'string', type: 3, s: utf8('größe') },
      { name: 'tensor', type: 4, t: { name: '', dataType: 7, rawData: bytesOf(value) } },
      { name: 'ints', type: 7, ints: ['-1', '9007199254740992', '0'] },
      { name: 'floats', type: 6, floats: [0.5, -Infinity] },
      { name: 'strings', type: 8, strings: [utf8(''), utf8('SAME')] },
      { name: 'reference', type: 8, refAttrName: 'other' },
    ]);
  });
});

test('the numbers of data types and attribute types are those of onnx-proto', () => {
  expect(TensorProtoDataType).toMatchObject(numbersOf(onnx.TensorProto.DataType));
  expect(AttributeProtoAttributeType).toMatchObject(numbersOf(onnx.AttributeProto.AttributeType));
});

function numbersOf(names: object): Record<string, number> {
  return Object.fromEntries(Object.entries(names).filter(([, value]) => typeof value === 'number'));
}
