/** Shapes that function bodies broadcast in stock onnxruntime: the operator library must take them too, and give the same. */

import { describe, expect, test } from 'vitest';
import { tensor } from '../../src/core/tensors/tensor.ts';
import { type Attributes, int, ints } from '../../src/graph/attribute.ts';
import { Builder } from '../../src/graph/builder.ts';
import { createNativeSession, type NamedTensors } from '../../src/inference/native-session.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { addBnnFunctions, BNN_OPERATORS } from '../../src/operators/registry.ts';
import { LAYER_VARIANTS } from '../../src/operators/variants.ts';
import { useEarlierBodies } from '../operators/earlier-bodies.ts';
import { missingAddon, missingOps } from './native-parts.ts';
import { waves } from './waves.ts';

const missing = missingAddon ?? missingOps;
const OUTPUTS = 5;
const CHANNELS = 9;

interface LayerCase {
  readonly type: string;
  readonly x: readonly number[];
  /** Shapes of inputs after w, by name; `[OUTPUTS]` or `[CHANNELS]` unless told. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  /** Whether they are initializers; inputs otherwise. */
  readonly constant?: boolean;
  /** Whether the file has the bodies that broadcast along images and columns, as earlier ones do. */
  readonly earlier?: boolean;
}

const count = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/** y of one layer: with the operator library, and as stock onnxruntime computes its function body. */
async function runBoth({ type, x, shapes = {}, constant = true, earlier = false }: LayerCase) {
  const variant = LAYER_VARIANTS.get(type);
  const schema = BNN_OPERATORS.get(type)?.schema;
  if (variant === undefined || schema === undefined) throw new Error(`no operator ${type}`);
  const isDense = variant.layer === 'Gemm';
  const builder = new Builder('layer');
  builder.model.opsets.set('bnn', 1);
  const wShape = [OUTPUTS, ...(isDense ? [] : [3, 3]), 2];
  const w = builder.constant(
    'w',
    tensor(
      'uint8',
      wShape,
      Uint8Array.from({ length: count(wShape) }, (_, i) => i * 83 + 7),
    ),
  );
  const feeds: Record<string, NamedTensors[string]> = { x: tensor('float32', [...x], waves(count(x), 3)) };
  const yShape = isDense ? [...x.slice(0, -1), OUTPUTS] : [x[0] ?? 0, OUTPUTS, x[2] ?? 0, x[3] ?? 0];
  const others = schema.inputs.slice(2).map(({ name }, i) => {
    const usual = name === 'residual' ? yShape : [name === 'x_threshold' ? CHANNELS : OUTPUTS];
    const shape = [...(shapes[name] ?? usual)];
    const values = tensor('float32', shape, waves(count(shape), 11 + i));
    if (constant && name !== 'residual') return builder.constant(name, values);
    feeds[name] = values;
    return builder.input(
      name,
      'float32',
      shape.map(() => null),
    );
  });
  const attributes: Attributes = isDense
    ? { channels: int(CHANNELS) }
    : {
        channels: int(CHANNELS),
        group: int(1),
        kernel_shape: ints([3, 3]),
        strides: ints([1, 1]),
        pads: ints([1, 1, 1, 1]),
        dilations: ints([1, 1]),
      };
  const data = builder.input(
    'x',
    'float32',
    x.map(() => null),
  );
  const y = builder.op(`bnn.${type}`, [data, w, ...others], attributes, 'layer', 'y');
  y.dtype = 'float32';
  builder.model.graph.addOutput(y);
  addBnnFunctions(builder.model);
  if (earlier) useEarlierBodies(builder.model);
  const bytes = encodeModel(builder.model);
  const results = [];
  for (const ops of [true, false]) {
    const session = await createNativeSession(bytes, { ops, threads: 1 });
    results.push((await session.runTensors(feeds))['y']!);
    await session.dispose();
  }
  return { ours: results[0]!, stock: results[1]!, isExact: !variant.weightOnly };
}

async function expectAsStock(c: LayerCase): Promise<void> {
  const { ours, stock, isExact } = await runBoth(c);
  expect(ours.shape, JSON.stringify(c)).toEqual(stock.shape);
  const [a, b] = [ours.data as Float32Array, stock.data as Float32Array];
  if (isExact) expect(a, JSON.stringify(c)).toEqual(b);
  else for (const [i, value] of a.entries()) expect(Math.abs(value - b[i]!)).toBeLessThan(1e-5 * (1 + Math.abs(b[i]!)));
}

describe.skipIf(missing !== undefined)(
  `shapes that broadcast${missing ? ` (skipped: ${missing})` : ''}`,
  { timeout: 60_000 },
  () => {
    const names = [...LAYER_VARIANTS.keys()];
    const imageOf = (type: string, batch: number) =>
      LAYER_VARIANTS.get(type)?.layer === 'Gemm' ? [batch, CHANNELS] : [batch, CHANNELS, 4, 6];

    test.each(names)('%s: no images at all', async (type) => {
      await expectAsStock({ type, x: imageOf(type, 0) });
      await expectAsStock({ type, x: imageOf(type, 0), constant: false });
    });

    test.each(names)('%s: one number for all channels', async (type) => {
      const inputs = BNN_OPERATORS.get(type)!
        .schema.inputs.slice(2)
        .map(({ name }) => name);
      const vectors = inputs.filter((name) => name !== 'residual');
      for (const name of vectors) {
        await expectAsStock({ type, x: imageOf(type, 2), shapes: { [name]: [1] } });
        await expectAsStock({ type, x: imageOf(type, 2), shapes: { [name]: [1, 1] }, constant: false });
      }
      await expectAsStock({
        type,
        x: imageOf(type, 2),
        shapes: Object.fromEntries(vectors.map((name) => [name, [1]])),
      });
    });

    test.each(names.filter((name) => name.includes('Gemm')))('%s: rows for vectors, any rank of data', async (type) => {
      const inputs = BNN_OPERATORS.get(type)!
        .schema.inputs.slice(2)
        .map(({ name }) => name);
      for (const name of inputs) {
        for (const shape of [
          [1, OUTPUTS],
          [3, OUTPUTS],
          [3, 1],
          [1, 1, OUTPUTS],
        ]) {
          // The slope of PRelu may not enlarge what it multiplies.
          if (name === 'slope' && shape.length > 2) continue;
          await expectAsStock({ type, x: [3, CHANNELS], shapes: { [name]: shape }, constant: shape[0] === 1 });
        }
      }
      await expectAsStock({ type, x: [2, 3, CHANNELS] });
      await expectAsStock({ type, x: [0, 3, CHANNELS] });
    });

    test.each(names.filter((name) => name.includes('Conv')))(
      '%s of earlier files: along images and columns',
      async (type) => {
        const inputs = BNN_OPERATORS.get(type)!
          .schema.inputs.slice(2)
          .map(({ name }) => name);
        for (const name of inputs) {
          const shapes =
            name === 'residual'
              ? [
                  [1, OUTPUTS, 1, 1],
                  [4, 6],
                  [OUTPUTS, 1, 6],
                ]
              : [
                  [1, 6],
                  [name === 'x_threshold' ? CHANNELS : OUTPUTS, 6],
                ];
          for (const shape of shapes) {
            // Unsqueeze makes [n, 1, 1, 6] of the second: n images.
            const x = name !== 'residual' && shape[0] !== 1 ? [shape[0]!, CHANNELS, 4, 6] : [2, CHANNELS, 4, 6];
            await expectAsStock({ type, x, shapes: { [name]: shape }, earlier: true });
          }
        }
      },
    );

    test('what does not broadcast is refused, with the sizes', async () => {
      await expect(runBoth({ type: 'BinaryGemm', x: [2, CHANNELS], shapes: { scale: [3] } })).rejects.toThrow(
        /sizes 3 and 5 do not broadcast/,
      );
      await expect(runBoth({ type: 'BinaryConv', x: [2, CHANNELS, 4, 6], shapes: { bias: [] } })).rejects.toThrow(
        /input bias is a scalar/,
      );
    });
  },
);
