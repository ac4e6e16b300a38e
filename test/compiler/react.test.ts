import { expect, it } from 'vitest';
import { Rng } from '../../src/core/numbers/rng.ts';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { expectSame, withTypes } from './small-net.ts';

it('RSign and RPReLU: every binary layer is one node, with its shifts and PReLU inside', {
  timeout: 60_000,
}, async () => {
  const latent = buildModel('resnet20-react', { seed: 3 });
  const rng = new Rng(7);
  // As after some training: a shift of 0 would hide a shift that is lost.
  for (const value of [...latent.graph.constants()]) {
    const { constant } = value;
    if (constant?.shape.length !== 3) continue;
    const data = Float32Array.from(constant.data as Float32Array, (x) => x + 0.3 * rng.normal());
    latent.graph.setConstant(value, float32(constant.shape, data));
  }
  const { model, report } = await expectSame(withTypes(latent));
  expect([report.binaryLayers, report.floatLayers]).toEqual([18, 2]);
  expect(encodeModel(model).length).toBeLessThanOrEqual(85_000);
  const counts = new Map<string, number>();
  for (const node of model.graph.nodes()) counts.set(node.type, (counts.get(node.type) ?? 0) + 1);
  expect(counts.get('bnn.BinaryThresholdConvAddPRelu')).toBe(18);
  expect([counts.get('Add'), counts.get('PRelu')]).toEqual([undefined, undefined]);
  // The stem's, which follows a ReLU.
  expect(counts.get('BatchNormalization')).toBe(1);
  for (const { outcome, reasons } of report.layers) if (outcome !== 'float') expect(reasons).toEqual([]);
});
