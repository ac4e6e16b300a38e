/** Files of this project, loaded and run by stock onnxruntime. */

import { fileURLToPath } from 'node:url';
import { onnx } from 'onnx-proto';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import protobuf from 'protobufjs';
import { expect, test } from 'vitest';
import { FLOAT32_TOLERANCE, relativeError } from '../../src/core/numbers/tolerance.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { CONV_BIAS, CONV_INPUT, CONV_WEIGHT, convModel, functionModel } from './sample-models.ts';

async function run(
  bytes: Uint8Array,
  shape: number[],
  x: Float32Array,
): Promise<{ dims: readonly number[]; data: number[] }> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const { y } = await session.run({ x: new Tensor('float32', x, shape) });
  return { dims: y!.dims, data: Array.from(y!.data as Float32Array) };
}

/** Relu of a 3×3 convolution of 4×4 pixels with padding 1, element by element. */
function convByHand(): number[] {
  const y: number[] = [];
  for (let o = 0; o < 2; o++) {
    for (let row = 0; row < 4; row++) {
      for (let column = 0; column < 4; column++) {
        let sum = CONV_BIAS[o]!;
        for (let i = 0; i < 9; i++) {
          const r = row + Math.floor(i / 3) - 1;
          const c = column + (i % 3) - 1;
          if (r >= 0 && r < 4 && c >= 0 && c < 4) sum += CONV_INPUT[r * 4 + c]! * CONV_WEIGHT[o * 9 + i]!;
        }
        y.push(Math.max(sum, 0));
      }
    }
  }
  return y;
}

const SCALED_SIGN_X = Float32Array.of(1, -2, 0, -0, -1e-30, -3);
// 0.5 · (1 − 1 + 1) and 0.5 · (1 − 1 − 1)
const SCALED_SIGN_Y = [0.5, -0.5];

test('a convolution', async () => {
  const { dims, data } = await run(encodeModel(convModel()), [1, 1, 4, 4], CONV_INPUT);
  expect(dims).toEqual([1, 2, 4, 4]);
  expect(relativeError(data, convByHand())).toBeLessThan(FLOAT32_TOLERANCE);
});

test('model-local functions of the domain bnn with references to attributes', async () => {
  const { dims, data } = await run(encodeModel(functionModel()), [2, 3], SCALED_SIGN_X);
  expect(dims).toEqual([2]);
  expect(data).toEqual(SCALED_SIGN_Y);
});

test('defaults of function attributes mean the same after decoding and encoding', async () => {
  const root = new protobuf.Root().loadSync(fileURLToPath(new URL('../../proto/onnx.proto', import.meta.url)));
  const ModelProto = root.lookupType('onnx.ModelProto');
  const original = functionModel();
  original.irVersion = 9;
  const message = ModelProto.toObject(ModelProto.decode(encodeModel(original)), { enums: String });
  const [, scaled] = message['functions'];
  scaled.attribute = ['axes'];
  scaled.attributeProto = [{ name: 'alpha', type: 'FLOAT', f: 0.25 }];
  const call = message['graph'].node[0];
  call.attribute = call.attribute.filter((attribute: onnx.IAttributeProto) => attribute.name !== 'alpha');
  const withDefault = ModelProto.encode(ModelProto.fromObject(message)).finish();

  const expected = SCALED_SIGN_Y.map((value) => value / 2);
  expect((await run(withDefault, [2, 3], SCALED_SIGN_X)).data).toEqual(expected);
  const decoded = decodeModel(withDefault);
  expect(decoded.functions[1]?.attributes).toEqual(['axes', 'alpha']);
  expect((await run(encodeModel(decoded), [2, 3], SCALED_SIGN_X)).data).toEqual(expected);
});

test('a model with weights in typed fields, Constant nodes, and nodes out of order', async () => {
  const type = { tensorType: { elemType: 1, shape: { dim: [{ dimParam: 'N' }, { dimValue: 3 }] } } };
  const w = { dims: [3, 2], dataType: 1, floatData: [1, 2, 3, 4, 5, 6] };
  const message = onnx.ModelProto.fromObject({
    irVersion: 8,
    opsetImport: [{ version: 17 }],
    graph: {
      name: 'g',
      input: [{ name: 'x', type }],
      output: [{ name: 'y', type: { tensorType: { elemType: 1 } } }],
      node: [
        { opType: 'Add', input: ['p', 'b'], output: ['y'] },
        { opType: 'MatMul', input: ['x', 'w'], output: ['p'] },
        { opType: 'Constant', output: ['w'], attribute: [{ name: 'value', type: 'TENSOR', t: w }] },
      ],
      initializer: [{ name: 'b', dims: [2], dataType: 1, floatData: [100, 200] }],
    },
  });
  const model = decodeModel(onnx.ModelProto.encode(message).finish());
  expect((await run(encodeModel(model), [1, 3], Float32Array.of(1, 1, 1))).data).toEqual([109, 212]);
});
