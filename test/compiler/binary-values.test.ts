import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/numbers/rng.ts';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { expectSame, withTypes } from './small-net.ts';

/** As after some training: what is all ones or zeros at first would hide what is lost. */
function trained(name: string, binaryValues: string) {
  const latent = buildModel(name, { seed: 3, values: { binaryValues } });
  const rng = new Rng(7);
  for (const value of [...latent.graph.constants()]) {
    const { constant } = value;
    const isLearned = constant?.dtype === 'float32' && !/ones|running|min|max|zero/.test(value.name);
    if (!isLearned || constant.shape.length === 0) continue;
    const spread = constant.shape.length === 4 ? 0.02 : 0.2;
    const data = Float32Array.from(constant.data as Float32Array, (x) => x + spread * rng.normal());
    latent.graph.setConstant(value, float32(constant.shape, data));
  }
  return withTypes(latent);
}

describe('the packed form of layers with other values decides as the latent one, in stock onnxruntime', () => {
  const operatorsOf = ({ graph }: ReturnType<typeof trained>) => [...graph.nodes()].map((node) => node.type);

  it('learned: the factor of each channel goes into the layer', async () => {
    const { model, report } = await expectSame(trained('binarynet-mini', 'learned'));
    expect(report.binaryLayers).toBe(2);
    expect(operatorsOf(model).filter((type) => type === 'Mul' || type === 'bnn.Sign')).toEqual([]);
  });

  it.each(['binarynet-mini', 'resnet20-hardtanh'])(
    'adabin: %s has binary sums only, and two values of each filter',
    {
      timeout: 60_000,
    },
    async (name) => {
      const { model, report } = await expectSame(trained(name, 'adabin'));
      const types = operatorsOf(model);
      // Each layer, and the sum of its signs.
      const layers = name === 'binarynet-mini' ? 2 : 18;
      expect(report.binaryLayers).toBe(2 * layers);
      expect(types.filter((type) => type.startsWith('bnn.BinaryThresholdConv')).length).toBe(2 * layers);
      expect(types.filter((type) => ['bnn.Sign', 'Div', 'Sqrt', 'Sub'].includes(type))).toEqual([]);
      expect(types.filter((type) => type === 'Conv').length).toBe(1);
    },
  );

  it('adabin with float activations', async () => {
    const { model } = await expectSame(trained('binarynet-mini-1w32a', 'adabin'));
    const types = operatorsOf(model);
    expect(types.filter((type) => type.startsWith('bnn.BinaryWeightConv')).length).toBe(2);
    expect(types).not.toContain('bnn.Sign');
  });
});
