import { describe, expect, test } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { ints } from '../../src/graph/attribute.ts';
import { Builder } from '../../src/graph/builder.ts';
import type { Model } from '../../src/graph/model.ts';
import { compareDecisions, compareForms } from '../../src/inference/compare-forms.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { addBnnFunctions } from '../../src/operators/registry.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { runStock } from '../operators/run-stock.ts';

function latent(seed: number): Model {
  const model = buildModel('binarynet-mini', { seed });
  addBnnFunctions(model);
  return model;
}

describe('compareDecisions', () => {
  const pictures = (count: number) => ({
    x: Float32Array.from({ length: count * 28 * 28 }, (_, i) => Math.sin(i * i)),
    count,
  });

  test('a network agrees with itself, over batches of any size', async () => {
    const bytes = encodeModel(latent(1));
    const result = await compareDecisions(bytes, bytes, [pictures(20), pictures(3)]);
    expect(result).toEqual({ images: 23, agreement: 1, passed: true });
  });

  test('of two networks, the share of equal arg-max counts', async () => {
    const models = [latent(1), latent(2)] as const;
    const [input] = models[0].graph.inputs;
    const batch = pictures(40);
    const result = await compareDecisions(encodeModel(models[0]), encodeModel(models[1]), [batch]);
    const feeds = { [input!.name]: float32([40, 1, 28, 28], batch.x) };
    const [first, second] = await Promise.all(
      models.map(async (model) => {
        const logits = Array.from(await runStock(model, feeds));
        return Array.from({ length: 40 }, (_, i) => {
          const row = logits.slice(10 * i, 10 * i + 10);
          return row.indexOf(Math.max(...row));
        });
      }),
    );
    const agreement = first!.filter((decision, i) => decision === second![i]).length / 40;
    expect(result).toEqual({ images: 40, agreement, passed: agreement >= 0.75 });
    expect(agreement).toBeLessThan(1);
  });
});

describe('compareForms', () => {
  test('latent and packed form of a network agree', async () => {
    const model = latent(1);
    const result = await compareForms(encodeModel(lowerToPacked(model).model), encodeModel(model), { images: 20 });
    expect(result).toMatchObject({ images: 20, agreement: 1, imagesBeyondTolerance: 0, passed: true });
    expect(result.maxDifference).toBeLessThanOrEqual(result.tolerance);
  });

  test('two networks do not', async () => {
    const result = await compareForms(encodeModel(latent(1)), encodeModel(latent(2)), { images: 20 });
    expect(result).toMatchObject({ imagesBeyondTolerance: 20, passed: false });
  });

  test('two forms of a network for sound agree', async () => {
    const net = new Builder('main');
    const x = net.input('x', 'float32', ['N', 4, 20]);
    const w = net.constant(
      'w',
      float32(
        [3, 4, 5],
        Float32Array.from({ length: 60 }, (_, i) => Math.cos(i * i)),
      ),
    );
    const y = net.op('Conv', [net.op('bnn.Sign', [x]), net.op('bnn.Sign', [w])], { kernel_shape: ints([5]) });
    net.output(y, 'float32', ['N', 3, 16]);
    addBnnFunctions(net.model);
    const bytes = encodeModel(net.model);
    expect(await compareForms(bytes, bytes, { images: 20 })).toMatchObject({
      images: 20,
      maxDifference: 0,
      passed: true,
    });
  });

  test('one wrong weight bit is found', async () => {
    const model = latent(1);
    const { model: packed } = lowerToPacked(model);
    const bits = [...packed.graph.constants()].find(({ constant }) => constant.dtype === 'uint8')!;
    const data = Uint8Array.from(bits.constant.data as Uint8Array);
    data[0]! ^= 1;
    packed.graph.setConstant(bits, { ...bits.constant, data });
    const result = await compareForms(encodeModel(packed), encodeModel(model), { images: 20 });
    expect(result.passed).toBe(false);
  });
});
