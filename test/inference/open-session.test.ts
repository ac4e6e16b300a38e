import { describe, expect, test } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { Builder } from '../../src/graph/builder.ts';
import { parseModel } from '../../src/graph/parse.ts';
import { openSession } from '../../src/inference/open-session.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { addBnnFunctions } from '../../src/operators/registry.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { missingAddon, missingOps } from './native-parts.ts';

const missing = missingAddon ?? missingOps;

function abs(): Uint8Array {
  const builder = new Builder('abs');
  builder.output(builder.op('Abs', [builder.input('x', 'float32', [1])]), 'float32', [1]);
  return encodeModel(builder.model);
}

const packed = () => encodeModel(lowerToPacked(buildModel('binarynet-mini', { seed: 5 })).model);

async function opened(model: Uint8Array, options: Parameters<typeof openSession>[1]) {
  const session = await openSession(model, options);
  await session.dispose();
  return { ops: session.ops, reason: session.opsReason };
}

describe('openSession', () => {
  test('off is stock onnxruntime', async () => {
    expect(await opened(packed(), { ops: 'off' })).toEqual({ ops: 'off', reason: 'asked for' });
  });

  test('auto without work for our kernels is stock', async () => {
    const { ops, reason } = await opened(abs(), {});
    expect(ops).toBe('off');
    expect(reason).toBe(missing ?? 'the model has no bnn operators');
  });

  test.skipIf(missing !== undefined)(
    `auto and on with our kernels${missing ? ` (skipped: ${missing})` : ''}`,
    async () => {
      expect(await opened(packed(), {})).toEqual({ ops: 'on', reason: 'the model has bnn operators' });
      expect(await opened(packed(), { ops: 'on' })).toEqual({ ops: 'on', reason: 'asked for' });
      expect(await opened(abs(), { ops: 'on' })).toEqual({ ops: 'on', reason: 'asked for' });
    },
  );

  test.skipIf(missing === undefined)('on without the parts says what is missing', async () => {
    await expect(openSession(packed(), { ops: 'on' })).rejects.toMatchObject({ code: 'E_BACKEND', message: missing });
    expect((await opened(packed(), {})).ops).toBe('off');
  });

  test('on with another execution provider is an error', async () => {
    await expect(openSession(packed(), { ops: 'on', ep: 'cuda' })).rejects.toMatchObject({
      code: 'E_BACKEND',
      message: expect.stringContaining('cuda') as string,
    });
  });

  test.each(['AveragePool', 'MaxPool'])(
    'a %s of windows larger than the picture is refused, not divided by',
    async (pool) => {
      const ones = (count: number) => new Array(count).fill(1).join(', ');
      const model = parseModel(`model ir 8, opset "" 17, opset "bnn" 1
      producer "" "" graph "g" {
        input %x : float32[N, 16, 4, 2]
        const %bits : uint8[16, 1, 1, 2] = [${ones(32)}]
        const %scale : float32[16] = [${ones(16)}]
        const %w : float32[16, 16, 1, 1] = [${ones(256)}]
        %l = bnn::BinaryConv(%x, %bits, %scale, %scale) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group = 1, kernel_shape = [1, 1], channels = 16}
        %c = Conv(%l, %w)
        %p = ${pool}(%c) {kernel_shape = [3, 3]} "p"
        %y = Conv(%p, %w)
        output %y
      }`);
      addBnnFunctions(model);
      model.graph.outputs[0]!.dtype = 'float32';
      for (const ops of ['auto', 'off'] as const) {
        const opening = openSession(encodeModel(model), { ops, at: 'net.onnx' });
        await expect(opening).rejects.toMatchObject({ code: 'E_SHAPE', at: `net.onnx, node "p" (${pool})` });
      }
    },
  );

  test('a packed model with what this project does not know of standard operators runs', async () => {
    const ones = (count: number) => new Array(count).fill(1).join(', ');
    const model = parseModel(`model ir 8, opset "" 17, opset "bnn" 1
    producer "" "" graph "g" {
      input %x : float32[1, 8, 1, 1]
      const %bits : uint8[1, 1, 1, 1] = [255]
      const %scale : float32[1] = [${ones(1)}]
      const %bias : float32[1] = [0]
      %l = bnn::BinaryConv(%x, %bits, %scale, %bias) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group = 1, kernel_shape = [1, 1], channels = 8}
      %text = Cast(%l) {to = 8}
      %y = Cast(%text) {to = 1}
      output %y
    }`);
    addBnnFunctions(model);
    model.graph.outputs[0]!.dtype = 'float32';
    for (const ops of ['auto', 'off', ...(missing === undefined ? (['on'] as const) : [])] as const) {
      const session = await openSession(encodeModel(model), { ops });
      expect(session.ops).toBe(ops === 'off' || missing !== undefined ? 'off' : 'on');
      const x = Float32Array.of(1, 1, 1, 1, 1, 1, -1, -1);
      expect([...(await session.run(x, [1, 8, 1, 1])).data]).toEqual([4]);
      await session.dispose();
    }
  });

  test('a damaged model is an error of the model', async () => {
    for (const ops of ['auto', 'off'] as const) {
      await expect(openSession(packed().subarray(0, 500), { ops })).rejects.toMatchObject({ code: 'E_FORMAT' });
    }
  });

  test('runs as the session that it chose', async () => {
    const session = await openSession(abs());
    expect(session.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: [1] }]);
    expect((await session.run(Float32Array.of(-3), [1])).data).toEqual(Float32Array.of(3));
    await session.dispose();
  });
});
