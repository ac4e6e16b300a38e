/** Models as other tools write them (here with the npm package onnx-proto), read by this project. */

import { onnx } from 'onnx-proto';
import { describe, expect, test } from 'vitest';
import { toNumbers } from '../../src/core/tensors/tensor.ts';
import { BnnError } from '../../src/errors.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';

type Raw = { readonly [key: string]: unknown };

const FLOAT_TYPE = { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 2 }] } } };

function decode(graph: Raw, model: Raw = {}) {
  const message = {
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph: { name: 'g', ...graph },
    ...model,
  };
  return decodeModel(onnx.ModelProto.encode(onnx.ModelProto.fromObject(message)).finish(), { at: 'm.onnx' });
}

function failure(graph: Raw, model: Raw = {}): BnnError {
  try {
    decode(graph, model);
  } catch (error) {
    if (error instanceof BnnError) return error;
    throw error;
  }
  throw new Error('decoded without an error');
}

const decodeTensor = (tensor: Raw) =>
  decode({ initializer: [{ name: 't', ...tensor }] }).graph.values.get('t')?.constant;

describe('typed tensor fields', () => {
  const D = onnx.TensorProto.DataType;
  test.each([
    ['float32', D.FLOAT, { floatData: [1.5, -0.25] }, [1.5, -0.25]],
    ['float64', D.DOUBLE, { doubleData: [0.1, -3] }, [0.1, -3]],
    ['int8', D.INT8, { int32Data: [-128, 127] }, [-128, 127]],
    ['uint8', D.UINT8, { int32Data: [0, 255] }, [0, 255]],
    ['int16', D.INT16, { int32Data: [-32768, 32767] }, [-32768, 32767]],
    ['uint16', D.UINT16, { int32Data: [0, 65535] }, [0, 65535]],
    ['int32', D.INT32, { int32Data: [-(2 ** 31), 2 ** 31 - 1] }, [-(2 ** 31), 2 ** 31 - 1]],
    ['uint32', D.UINT32, { uint64Data: [0, 2 ** 32 - 1] }, [0, 2 ** 32 - 1]],
    ['bool', D.BOOL, { int32Data: [0, 1] }, [0, 1]],
    ['float16', D.FLOAT16, { int32Data: [0x3c00, 0xc000] }, [1, -2]],
    ['bfloat16', D.BFLOAT16, { int32Data: [0x3f80, 0xc000] }, [1, -2]],
  ])('%s', (dtype, dataType, field, values) => {
    const tensor = decodeTensor({ dims: [2], dataType, ...field });
    expect(tensor?.dtype).toBe(dtype);
    expect(toNumbers(tensor!)).toEqual(values);
  });

  test('64-bit integers are exact', () => {
    const int64Data = ['-9223372036854775808', '9007199254740993'];
    expect(decodeTensor({ dims: [2], dataType: D.INT64, int64Data })?.data).toEqual(
      BigInt64Array.of(-(2n ** 63n), 9007199254740993n),
    );
    expect(decodeTensor({ dims: [1], dataType: D.UINT64, uint64Data: ['18446744073709551615'] })?.data).toEqual(
      BigUint64Array.of(2n ** 64n - 1n),
    );
  });

  test('a scalar, an empty tensor, and raw booleans other than 0 and 1', () => {
    expect(decodeTensor({ dataType: D.FLOAT, floatData: [7] })).toEqual({
      dtype: 'float32',
      shape: [],
      data: Float32Array.of(7),
    });
    expect(decodeTensor({ dims: [0, 3], dataType: D.INT64 })?.data.length).toBe(0);
    expect(decodeTensor({ dims: [3], dataType: D.BOOL, rawData: Uint8Array.of(0, 255, 1) })?.data).toEqual(
      Uint8Array.of(0, 1, 1),
    );
  });

  test.each([
    ['too few bytes', { dims: [2], dataType: D.FLOAT, rawData: new Uint8Array(7) }, 'E_FORMAT', 'needs 8 bytes but 7'],
    [
      'too few elements',
      { dims: [3], dataType: D.FLOAT, floatData: [1] },
      'E_FORMAT',
      'needs 3 elements but float_data holds 1',
    ],
    [
      'huge',
      { dims: ['1099511627776'], dataType: D.FLOAT, rawData: new Uint8Array(4) },
      'E_FORMAT',
      'needs 4398046511104 bytes',
    ],
    [
      'huger',
      { dims: ['4611686018427387904', 8], dataType: D.FLOAT, floatData: [] },
      'E_FORMAT',
      'a dimension is 4611686018427387904',
    ],
    [
      'overflow',
      { dims: Array(9).fill(2 ** 30), dataType: D.FLOAT, floatData: [] },
      'E_FORMAT',
      'more elements than any file',
    ],
    ['negative', { dims: [-1], dataType: D.FLOAT, floatData: [] }, 'E_FORMAT', 'a dimension is -1'],
    ['strings', { dims: [1], dataType: D.STRING, stringData: [Buffer.from('a')] }, 'E_UNSUPPORTED', 'STRING'],
    ['int4', { dims: [1], dataType: 22, rawData: new Uint8Array(1) }, 'E_UNSUPPORTED', 'INT4'],
    ['float8', { dims: [1], dataType: 17, rawData: new Uint8Array(1) }, 'E_UNSUPPORTED', 'FLOAT8E4M3FN'],
    ['of a later standard', { dims: [1], dataType: 99 }, 'E_UNSUPPORTED', 'data type 99'],
    ['segment', { dims: [1], dataType: D.FLOAT, segment: { begin: 0, end: 1 } }, 'E_UNSUPPORTED', 'segments'],
    [
      'external, no reader',
      { dims: [1], dataType: D.FLOAT, dataLocation: 1, externalData: [{ key: 'location', value: 'w.bin' }] },
      'E_UNSUPPORTED',
      'w.bin',
    ],
  ])('%s: refused', (_, tensor, code, message) => {
    const error = failure({ initializer: [{ name: 't', ...tensor }] });
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(error.at).toBe('m.onnx > tensor "t"');
  });
});

describe('structure', () => {
  const x = { name: 'x', type: FLOAT_TYPE };
  const relu = (input: string, output: string, more: Raw = {}) => ({
    opType: 'Relu',
    input: [input],
    output: [output],
    ...more,
  });
  const one = { name: 'one', dataType: 1, dims: [], floatData: [1] };

  test('initializers that are listed as inputs become constants', () => {
    const { graph, irVersion } = decode({ input: [x, { name: 'one' }], initializer: [one] }, { irVersion: 3 });
    expect(graph.inputs.map((value) => value.name)).toEqual(['x']);
    expect(graph.values.get('one')?.constant?.data).toEqual(Float32Array.of(1));
    expect(irVersion).toBe(4);
  });

  test('nodes in any order are sorted', () => {
    const node = [relu('b', 'c'), relu('a', 'b'), relu('x', 'a')];
    const { graph } = decode({ input: [x], node, output: [{ name: 'c' }] });
    expect(Array.from(graph.nodes(), (n) => n.output.name)).toEqual(['a', 'b', 'c']);
  });

  test('a long chain in reverse order does not exhaust the stack', () => {
    const node = Array.from({ length: 20000 }, (_, i) => relu(i === 0 ? 'x' : `v${i - 1}`, `v${i}`)).reverse();
    expect([...decode({ input: [x], node }).graph.nodes()].length).toBe(20000);
  });

  test('absent inputs and outputs', () => {
    const node = [
      { opType: 'Clip', input: ['x', '', 'one'], output: ['y', ''] },
      { opType: 'LSTM', input: ['x'], output: ['', 'h'] },
    ];
    const { graph } = decode({ input: [x], initializer: [one], node });
    const [clip, lstm] = graph.nodes();
    expect(clip?.inputs.map((value) => value?.name ?? null)).toEqual(['x', null, 'one']);
    expect(clip?.outputs.map((value) => value.name)).toEqual(['y']);
    expect(lstm?.outputs.length).toBe(2);
    expect(lstm?.outputs[1]?.name).toBe('h');
  });

  test.each<[string, Raw, ArrayLike<unknown>, number[]]>([
    ['value', { type: 'TENSOR', t: { dims: [2], dataType: 1, floatData: [1, 2] } }, Float32Array.of(1, 2), [2]],
    ['value_float', { type: 'FLOAT', f: 0.5 }, Float32Array.of(0.5), []],
    ['value_int', { type: 'INT', i: -3 }, BigInt64Array.of(-3n), []],
    ['value_floats', { type: 'FLOATS', floats: [1, 2] }, Float32Array.of(1, 2), [2]],
    ['value_ints', { type: 'INTS', ints: [4, 5, 6] }, BigInt64Array.of(4n, 5n, 6n), [3]],
  ])('Constant with %s becomes a constant', (name, attribute, data, shape) => {
    const { graph } = decode({ node: [{ opType: 'Constant', output: ['c'], attribute: [{ name, ...attribute }] }] });
    expect([...graph.nodes()]).toEqual([]);
    expect(graph.values.get('c')?.constant).toMatchObject({ data, shape });
  });

  test('a constant may be a graph output', () => {
    const { graph } = decode({ initializer: [one], output: [{ name: 'one', type: FLOAT_TYPE }] });
    expect(graph.outputs[0]?.shape).toEqual([]);
  });

  test('value_info fills types; symbolic and unknown sizes are kept', () => {
    const dim = [{ dimParam: 'N' }, { dimValue: -1 }, {}, { dimValue: 5 }];
    const valueInfo = [
      { name: 'a', type: { tensorType: { elemType: 10, shape: { dim } } } },
      { name: 'nobody', type: FLOAT_TYPE },
    ];
    const { graph } = decode({ input: [x], node: [relu('x', 'a')], valueInfo });
    expect(graph.values.get('a')).toMatchObject({ dtype: 'float16', shape: ['N', null, null, 5] });
  });

  test('attributes without a type, and integers beyond 2^53', () => {
    const attribute = [
      { name: 'f', f: 1 },
      { name: 'ints', ints: ['9223372036854775807', '-9223372036854775808', 7] },
      { name: 's', s: Buffer.from('SAME') },
    ];
    const [node] = decode({ input: [x], node: [relu('x', 'y', { attribute })] }).graph.nodes();
    expect(node?.float('f', 0)).toBe(1);
    expect(node?.ints('ints', [])).toEqual([2 ** 53, -(2 ** 53), 7]);
    expect(node?.string('s', '')).toBe('SAME');
  });

  test('the long name of the standard domain', () => {
    const model = decode(
      { input: [x], node: [relu('x', 'y', { domain: 'ai.onnx' })] },
      { opsetImport: [{ domain: 'ai.onnx', version: 13 }] },
    );
    expect([...model.opsets]).toEqual([['', 13]]);
    expect([...model.graph.nodes()][0]?.is('Relu')).toBe(true);
  });

  test.each<[string, Raw, string, string, string]>([
    ['cycle', { node: [relu('a', 'b'), relu('b', 'a')] }, 'E_FORMAT', 'cycle', 'm.onnx > node "b" (Relu)'],
    ['unknown input', { node: [relu('a', 'b', { name: 'r' })] }, 'E_FORMAT', 'reads "a"', 'm.onnx > node "r" (Relu)'],
    ['two producers', { input: [x], node: [relu('x', 'x')] }, 'E_FORMAT', 'two values', 'm.onnx > node "x" (Relu)'],
    ['two inputs', { input: [x, x] }, 'E_FORMAT', 'two values are called "x"', 'm.onnx > input "x"'],
    ['two initializers', { initializer: [one, one] }, 'E_FORMAT', 'two values', 'm.onnx > initializer "one"'],
    ['unknown output', { output: [{ name: 'q' }] }, 'E_FORMAT', 'output "q"', 'm.onnx'],
    [
      'input that is a sequence',
      { input: [{ name: 's', type: { sequenceType: {} } }] },
      'E_UNSUPPORTED',
      'sequence',
      'm.onnx > input "s"',
    ],
    [
      'input of strings',
      { input: [{ name: 's', type: { tensorType: { elemType: 8 } } }] },
      'E_UNSUPPORTED',
      'STRING',
      'm.onnx > input "s"',
    ],
    [
      'sparse initializer',
      { sparseInitializer: [{ values: { name: 's' } }] },
      'E_UNSUPPORTED',
      'sparse',
      'm.onnx > sparse initializer "s"',
    ],
    [
      'subgraph',
      {
        node: [
          {
            opType: 'If',
            name: 'if1',
            output: ['y'],
            attribute: [{ name: 'then_branch', type: 'GRAPH', g: { name: 'then' } }],
          },
        ],
      },
      'E_UNSUPPORTED',
      'subgraph',
      'm.onnx > node "if1" (If) > attribute "then_branch"',
    ],
    [
      'Constant of strings',
      {
        node: [
          {
            opType: 'Constant',
            output: ['c'],
            attribute: [{ name: 'value_string', type: 'STRING', s: Buffer.from('a') }],
          },
        ],
      },
      'E_UNSUPPORTED',
      'strings',
      'm.onnx > node "c" (Constant)',
    ],
    [
      'sparse Constant',
      { node: [{ opType: 'Constant', output: ['c'], attribute: [{ name: 'sparse_value', type: 'SPARSE_TENSOR' }] }] },
      'E_UNSUPPORTED',
      'SPARSE_TENSOR',
      'm.onnx > node "c" (Constant) > attribute "sparse_value"',
    ],
    [
      'attribute twice',
      {
        input: [x],
        node: [
          relu('x', 'y', {
            attribute: [
              { name: 'a', type: 'INT', i: 1 },
              { name: 'a', type: 'INT', i: 2 },
            ],
          }),
        ],
      },
      'E_FORMAT',
      'set twice',
      'm.onnx > node "y" (Relu) > attribute "a"',
    ],
    [
      'binary string',
      { input: [x], node: [relu('x', 'y', { attribute: [{ name: 'a', type: 'STRING', s: Buffer.from([0xff]) }] })] },
      'E_UNSUPPORTED',
      'UTF-8',
      'm.onnx > node "y" (Relu) > attribute "a"',
    ],
  ])('%s: refused', (_, graph, code, message, at) => {
    const error = failure(graph);
    expect(error).toMatchObject({ code, at });
    expect(error.message).toContain(message);
  });

  test('operator sets: missing, contradictory, or older than they', () => {
    expect(failure({ input: [x], node: [relu('x', 'y')] }, { opsetImport: [] }).message).toContain('operator sets');
    const twice = [{ version: 12 }, { version: 13 }];
    expect(failure({}, { opsetImport: twice }).message).toContain('versions 12 and 13');
    expect([...decode({ input: [x], node: [relu('x', 'y')] }, { irVersion: 1, opsetImport: [] }).opsets]).toEqual([
      ['', 1],
    ]);
  });

  test('a function that is defined twice, or lacks an output', () => {
    const f = { name: 'F', domain: 'd', opsetImport: [{ version: 17 }] };
    expect(failure({}, { functions: [f, f] })).toMatchObject({ code: 'E_FORMAT', at: 'm.onnx > function "d.F"' });
    expect(failure({}, { functions: [{ ...f, output: ['y'] }] }).message).toContain('output "y"');
  });
});
