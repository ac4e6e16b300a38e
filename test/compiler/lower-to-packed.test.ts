import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { formatReason } from '../../src/compiler/report.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import { float32, tensor } from '../../src/core/tensors/tensor.ts';
import { BnnError } from '../../src/errors.ts';
import { int, ints } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { unpackConvWeights } from '../../src/operators/pack-weights.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { runStock } from '../operators/run-stock.ts';
import { expectSame, operators, SmallNet, withTypes } from './small-net.ts';

/** Gives every BatchNormalization random parameters, as after some training. */
function withRandomStatistics(model: Model, seed: number): Model {
  const rng = new Rng(seed);
  for (const node of model.graph.nodes()) {
    if (!node.is('BatchNormalization')) continue;
    const set = (index: number, draw: () => number) => {
      const value = node.requiredInput(index);
      const size = value.constant!.data.length;
      model.graph.setConstant(value, float32([size], Float32Array.from({ length: size }, draw)));
    };
    set(1, () => 0.2 + Math.abs(rng.normal()));
    set(2, () => 0.5 * rng.normal());
    set(3, () => 0.3 + 0.3 * rng.normal());
    set(4, () => 0.2 + rng.uniform());
  }
  return withTypes(model);
}

describe('networks of the zoo', { timeout: 60_000 }, () => {
  it.each([
    ['resnet20', 18, 0, 2, 75_000],
    ['resnet20-bireal', 18, 0, 2, 75_000],
    ['resnet20-1w32a', 0, 18, 2, 75_000],
    ['resnet20-fp', 0, 0, 20, 1_200_000],
    ['binarynet-mini', undefined, 0, undefined, 100_000],
    ['vgg-small', 5, 0, 2, 1_000_000],
  ] as const)('%s: packed equals latent', async (name, binary, weightOnly, inFloat, maxBytes) => {
    const latent = withRandomStatistics(buildModel(name, { seed: 3 }), 5);
    const { model, report } = await expectSame(latent);
    expect(report.weightOnlyLayers).toBe(weightOnly);
    if (binary !== undefined) expect([report.binaryLayers, report.floatLayers]).toEqual([binary, inFloat]);
    expect(encodeModel(model).length).toBeLessThanOrEqual(maxBytes);
    for (const layer of report.layers) {
      if (layer.outcome === 'float')
        expect(layer.reasons.map(formatReason).join()).toMatch(/neither its data nor its weight/);
      else expect(layer.reasons).toEqual([]);
    }
  });

  it('packs ImageNet ResNet-18 into 4.3 MB', { timeout: 60_000 }, () => {
    const latent = withTypes(buildModel('resnet18', { seed: 1 }));
    const { model, report } = lowerToPacked(latent);
    expect([report.binaryLayers, report.floatLayers]).toEqual([16, 5]);
    expect(encodeModel(model).length).toBeLessThanOrEqual(4.3e6);
  });
});

describe('lowerToPacked', () => {
  it('leaves its source unchanged, gives the same bytes each time, and has nothing to add to its own result', () => {
    const latent = withRandomStatistics(buildModel('resnet20', { seed: 3 }), 5);
    const before = encodeModel(latent);
    const first = encodeModel(lowerToPacked(latent).model);
    const { model } = lowerToPacked(latent);
    expect(Buffer.compare(encodeModel(latent), before)).toBe(0);
    expect(Buffer.compare(encodeModel(model), first)).toBe(0);
    const again = lowerToPacked(model).model;
    const parameters = (m: Model) => new Map([...m.graph.constants()].map(({ name, constant }) => [name, constant]));
    expect(operators(again)).toEqual(operators(model));
    expect(parameters(again)).toEqual(parameters(model));
  });

  it('keeps input and output names, metadata and versions', () => {
    const latent = withTypes(buildModel('binarynet-mini', { seed: 1 }));
    latent.metadata.set('dataset', 'mnist');
    latent.docString = 'a model';
    const { model } = lowerToPacked(latent);
    expect(model.graph.inputs.map(({ name }) => name)).toEqual(['input']);
    expect(model.graph.outputs.map(({ name, shape }) => [name, shape])).toEqual([['logits', ['N', 10]]]);
    expect(model.metadata.get('dataset')).toBe('mnist');
    expect([model.docString, model.irVersion, model.opsets.get('')]).toEqual(['a model', 8, 17]);
  });

  it('folds what is selected to the end', async () => {
    const net = new SmallNet(4);
    const end = tensor('int64', [1], BigInt64Array.of(2n ** 63n - 1n));
    const tail = net.op('Slice', [net.c(net.normals([6])), net.ints([2]), net.c(end)]);
    const { model } = await expectSame(net.finish(net.op('Mul', [net.input(['N', 4]), tail])));
    expect(operators(model)).toEqual(['Mul']);
  });

  it.each([
    ['int64', BigInt64Array.of(1n, 2n, 3n, 4n), 'MatMul'],
    ['int32', Int32Array.of(1, 2, 3, 4), 'MatMul'],
    ['float64', Float64Array.of(1, 2, 3, 4), 'Gemm'],
    ['float16', Uint16Array.of(0x3c00, 0x4000, 0x4200, 0x4400), 'Gemm'],
  ] as const)('a product of %s runs in onnxruntime', async (dtype, data, type) => {
    const net = new SmallNet();
    const x = net.builder.input('x', dtype, [2, 2]);
    const matrix = tensor(dtype, [2, 2], data as BigInt64Array & Int32Array & Float64Array & Uint16Array);
    const source = net.finish(net.op('MatMul', [x, net.c(matrix)]));
    const { model } = lowerToPacked(source);
    expect(operators(model)).toEqual([type]);
    expect(await runStock(model, { x: matrix })).toEqual(await runStock(source, { x: matrix }));
  });

  it('writes the signs of the latent weights, and scale and bias as float64 arithmetic rounded once', () => {
    const net = new SmallNet(4);
    const w = net.normals([6, 9, 3, 3]);
    const weight = net.c(w);
    const conv = net.conv(net.sign(net.input(['N', 9, 5, 5])), net.sign(weight));
    const scaled = net.op('Mul', [conv, net.op('ReduceMean', [net.op('Abs', [weight])], { keepdims: int(0) })]);
    const { model } = lowerToPacked(net.finish(net.batchNorm(net.op('Relu', [scaled]), 6)));
    const [layer] = [...model.graph.nodes()];
    const [, bits, scale, bias] = layer!.inputs.map((value) => value!.constant);
    expect([...unpackConvWeights(bits!, 9).data]).toEqual(Array.from(w.data, (x) => (x >= 0 ? 1 : -1)));

    const normalization = [...net.builder.model.graph.nodes()].find((node) => node.is('BatchNormalization'))!;
    const [gamma, beta, mean, variance] = normalization.inputs
      .slice(1)
      .map((value) => [...(value!.constant!.data as Float32Array)]);
    const magnitude = w.data.reduce((sum, x) => sum + Math.abs(x), 0) / w.data.length;
    const factor = gamma!.map((g, o) => g / Math.sqrt(variance![o]! + 1e-5));
    // A sum in another order may end in the neighbouring float64, hence in rare cases the neighbouring float32.
    const ulp = 2 ** -23;
    for (const [o, f] of factor.entries()) {
      expect(Math.abs(Number(scale!.data[o]) / (magnitude * f) - 1)).toBeLessThan(0.51 * ulp);
      expect(Math.abs(Number(bias!.data[o]) / (beta![o]! - mean![o]! * f) - 1)).toBeLessThan(0.51 * ulp);
    }
  });

  it('keeps layers in float on request, by name and by pattern', async () => {
    const latent = withRandomStatistics(buildModel('resnet20', { seed: 3 }), 5);
    const { model, report } = await expectSame(latent, { keepFloat: ['layer1.0.conv2', 'layer3.*'] });
    expect([report.binaryLayers, report.floatLayers]).toEqual([11, 9]);
    const kept = report.layers.find(({ name }) => name === 'layer1.0.conv2');
    expect(kept?.reasons.map(formatReason)).toContain('binarize-conv: it is kept in float, as asked');
    // Their weights are ±1 constants, not Sign of floats, and nothing was folded into them.
    const conv = [...model.graph.nodes()].find(({ name }) => name === 'layer1.0.conv2');
    expect(new Set(conv?.requiredInput(1).constant?.data as Float32Array)).toEqual(new Set([1, -1]));
  });

  it('says which layer a pattern may have meant', () => {
    const latent = withTypes(buildModel('resnet20', { seed: 3 }));
    expect(() => lowerToPacked(latent, { keepFloat: ['layer1.0.conv3'] })).toThrow(
      expect.objectContaining({ code: 'E_NOT_FOUND', hint: expect.stringContaining('layer1.0.conv') }),
    );
  });

  it('refuses parameters that are not finite', () => {
    const net = new SmallNet();
    const y = net.binaryConv(net.input(['N', 8, 6, 6]), 8, 2);
    const [one, zero, variance] = [
      [1, 1],
      [0, 0],
      [1, -1],
    ].map((values) => net.c(float32([2], values)));
    const model = net.finish(net.op('BatchNormalization', [y, one!, zero!, zero!, variance!]));
    expect(() => lowerToPacked(model)).toThrow(
      expect.objectContaining({ code: 'E_NUMERIC', message: expect.stringContaining('conv.scale[1] = NaN') }),
    );
  });

  it('removes what no output needs, and reports it', () => {
    const net = new SmallNet();
    const x = net.input(['N', 8, 6, 6]);
    net.op('Relu', [net.binaryConv(x, 8, 4)]);
    net.random([100]);
    const { model, report } = lowerToPacked(net.finish(net.op('Relu', [x])), { verify: true });
    expect(operators(model)).toEqual(['Relu']);
    expect([...model.graph.constants()]).toEqual([]);
    expect(report.layers.map(({ outcome }) => outcome)).toEqual(['removed']);
  });

  it('calls onPass after every pass, in order', () => {
    const net = new SmallNet();
    const seen: string[] = [];
    const model = net.finish(net.binaryConv(net.input(['N', 8, 6, 6]), 8, 2));
    const { report } = lowerToPacked(model, { onPass: ({ name }) => seen.push(name) });
    expect(seen).toEqual(report.passes.map(({ name }) => name));
    expect(seen.at(-1)).toBe('install-functions');
    expect(report.passes.find(({ name }) => name === 'pack')?.rewrites).toEqual({ 'binarize-conv': 1 });
  });
});

describe('damaged files', () => {
  it('end in a result or a BnnError', { timeout: 60_000 }, () => {
    const net = new SmallNet();
    const x = net.input(['N', 4, 6, 6]);
    const block = net.batchNorm(net.op('Relu', [net.op('Mul', [net.binaryConv(x, 4, 4), net.c(0.5)])]), 4);
    const float = net.batchNorm(net.conv(net.op('Add', [block, x]), net.random([2, 4, 3, 3])), 2);
    const flat = net.op('Flatten', [float]);
    const y = net.op('Add', [net.op('MatMul', [net.sign(flat), net.sign(net.random([72, 3]))]), net.random([3])]);
    const bytes = encodeModel(net.finish(net.op('Gemm', [net.batchNorm(y, 3), net.random([3, 2])])));
    const rng = new Rng(1);
    let lowered = 0;
    for (let i = 0; i < 800; i++) {
      const damaged = bytes.slice();
      for (let k = rng.below(3); k >= 0; k--)
        damaged[rng.below(bytes.length)] = rng.below(rng.below(3) === 0 ? 256 : 8);
      try {
        lowerToPacked(decodeModel(damaged));
        lowered++;
      } catch (error) {
        if (!(error instanceof BnnError)) throw error;
      }
    }
    expect(lowered).toBeGreaterThan(100);
  });
});

/** One step of a random network: takes values of shape [N, c, h, w] and returns another. */
type Step = (net: SmallNet, state: { value: Value; channels: number; earlier: Value[] }) => void;

const STEPS: Readonly<Record<string, Step>> = {
  binaryConv: (net, state) => {
    const group = state.channels % 2 === 0 && net.rng.below(3) === 0 ? 2 : 1;
    const outputs = group * (1 + net.rng.below(6));
    const w = net.random([outputs, state.channels / group, 3, 3]);
    const data = net.rng.below(4) === 0 ? state.value : net.sign(state.value);
    const bias = net.rng.below(4) === 0 ? net.random([outputs]) : undefined;
    state.value = net.conv(data, net.sign(w), { group: int(group), pads: ints([1, 1, 1, 1]) }, bias);
    state.channels = outputs;
    state.earlier = [];
  },
  sameConv: (net, state) => {
    state.value = net.binaryConv(state.value, state.channels, state.channels);
  },
  floatConv: (net, state) => {
    const outputs = 1 + net.rng.below(4);
    state.value = net.conv(state.value, net.random([outputs, state.channels, 3, 3], 0.3));
    state.channels = outputs;
    state.earlier = [];
  },
  scale: (net, state) => {
    const factor = net.rng.below(2) === 0 ? net.c(0.1 + net.rng.uniform()) : net.random([state.channels, 1, 1]);
    state.value = net.op('Mul', net.rng.below(2) === 0 ? [state.value, factor] : [factor, state.value]);
  },
  relu: (net, state) => {
    state.value = net.op('Relu', [state.value]);
  },
  batchNorm: (net, state) => {
    state.value = net.batchNorm(state.value, state.channels);
  },
  shift: (net, state) => {
    state.value = net.op(net.rng.below(2) === 0 ? 'Add' : 'Sub', [state.value, net.random([1, state.channels, 1, 1])]);
  },
  prelu: (net, state) => {
    state.value = net.op('PRelu', [state.value, net.random([state.channels, 1, 1])]);
  },
  residual: (net, state) => {
    const other = state.earlier[net.rng.below(Math.max(1, state.earlier.length))] ?? state.value;
    state.value = net.op('Add', net.rng.below(2) === 0 ? [state.value, other] : [other, state.value]);
  },
};

describe('random latent networks', () => {
  it('compute the same in packed form', { timeout: 60_000 }, async () => {
    const names = fc.array(fc.constantFrom(...Object.keys(STEPS)), { minLength: 1, maxLength: 14 });
    await fc.assert(
      fc.asyncProperty(names, fc.nat(1000), async (steps, seed) => {
        const net = new SmallNet(seed);
        const input = net.input(['N', 5, 6, 5]);
        const state = { value: input, channels: 5, earlier: [input] };
        for (const step of steps) {
          STEPS[step]!(net, state);
          state.earlier.push(state.value);
        }
        const { model, report } = await expectSame(net.finish(state.value), {}, 2e-5);
        // No binary layer of the source is left in float.
        const ops = operators(model);
        expect(ops.filter((op) => op === 'Conv')).toHaveLength(report.floatLayers);
        expect(report.floatLayers).toBe(steps.filter((step) => step === 'floatConv').length);
      }),
      { numRuns: 150, seed: 20261123 },
    );
  });
});
