import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../../../src/core/numbers/tolerance.ts';
import { rowNamed } from '../../../src/core/row-named.ts';
import { float32, int64s, scalar } from '../../../src/core/tensors/tensor.ts';
import { createReste } from '../../../src/estimators/reste.ts';
import { float, int, ints } from '../../../src/graph/attribute.ts';
import { Graph, type Value } from '../../../src/graph/graph.ts';
import { Model } from '../../../src/graph/model.ts';
import { softmaxCrossEntropy } from '../../../src/training/learning/loss.ts';
import { OPTIMIZERS, Optimizer, type OptimizerRow } from '../../../src/training/optimizers/optimizer.ts';
import { download } from '../../../src/training/program/parameters.ts';
import { Program } from '../../../src/training/program/program.ts';

/** Float64 reference of a network with a float stem, two binary convolutions and both kinds of shortcut; see its description. */
const golden = JSON.parse(readFileSync(new URL('../../golden/reste-tiny-training.json', import.meta.url), 'utf8'));

function tinyModel(): Model {
  const graph = new Graph('tiny');
  const shapes = golden.shapes as Record<string, number[]>;
  const constant = (name: string) => graph.addConstant(name, float32(shapes[name]!, golden.init[name]));
  const op = (type: string, inputs: (Value | null)[], attributes = {}, domain = '') =>
    graph.addNode(type, inputs, { attributes, domain }).output;
  const norm = (x: Value, name: string) => {
    const channels = shapes[`${name}.weight`]![0]!;
    const mean = graph.addConstant(`${name}.running_mean`, float32([channels], new Float32Array(channels)));
    const variance = graph.addConstant(`${name}.running_var`, float32([channels], new Float32Array(channels).fill(1)));
    const inputs = [x, constant(`${name}.weight`), constant(`${name}.bias`), mean, variance];
    return op('BatchNormalization', inputs, { epsilon: float(1e-5), momentum: float(0.9) });
  };
  const window = (stride: number) => ({
    kernel_shape: ints([3, 3]),
    strides: ints([stride, stride]),
    pads: ints([1, 1, 1, 1]),
  });
  const binaryConv = (x: Value, name: string, stride: number) => {
    const weight = constant(`${name}.weight`);
    const acc = op('Conv', [op('Sign', [x], {}, 'bnn'), op('Sign', [weight], {}, 'bnn')], window(stride));
    return op('Mul', [acc, op('ReduceMean', [op('Abs', [weight])], { keepdims: int(0) })]);
  };
  const input = graph.addInput('input', { dtype: 'float32', shape: ['N', 3, 8, 8] });
  const stem = norm(op('Relu', [op('Conv', [input, constant('conv1.weight')], window(1))]), 'bn1');
  const first = op('Add', [norm(op('Relu', [binaryConv(stem, 'b1', 1)]), 'bn2'), stem]);
  const subsampled = op('AveragePool', [first], { kernel_shape: ints([1, 1]), strides: ints([2, 2]) });
  const pads = graph.addConstant('pads', int64s([0, 2, 0, 0, 0, 2, 0, 0]));
  const shortcut = op('Pad', [subsampled, pads, graph.addConstant('zero', scalar(0))]);
  const second = op('Add', [norm(op('Relu', [binaryConv(first, 'b2', 2)]), 'bn3'), shortcut]);
  const pooled = norm(op('Flatten', [op('GlobalAveragePool', [second])]), 'bnf');
  const logits = op('Gemm', [pooled, constant('fc.weight'), constant('fc.bias')], { transB: int(1) });
  graph.addOutput(logits);
  return new Model(graph);
}

describe('three training steps of a tiny network', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it('equal the float64 reference: logits, losses, gradients, parameters, running statistics', async () => {
    const [n, c, h, w] = golden.x_shape as [number, number, number, number];
    const x = tf.transpose(tf.tensor4d(golden.x, [n, c, h, w]), [0, 2, 3, 1]);
    const labels = tf.tensor1d(golden.labels, 'int32');
    const program = new Program(tinyModel(), { explicitPadding: true });
    const reste = createReste(2);
    const settings = { weightEstimator: reste, activationEstimator: reste };
    const optimizer = new Optimizer(program, {
      optimizer: rowNamed<OptimizerRow>(OPTIMIZERS, 'sgd'),
      values: { momentum: 0.9 },
      weightDecay: 1e-4,
      weightDecayOn: 'all',
      clampWeights: 0,
    });
    const tensorsBefore = tf.memory().numTensors;
    for (let step = 0; step < 3; step++) {
      const { loss, gradients } = program.differentiate(x, settings, (logits) => {
        if (step === 0) expect(relativeError(logits.dataSync(), golden.logits_step0_train)).toBeLessThan(2e-6);
        const result = softmaxCrossEntropy(logits, labels, 0);
        return { loss: result, dlogits: result.dlogits };
      });
      expect(loss.loss.dataSync()[0]).toBeCloseTo(golden.losses[step], 5);
      if (step === 0) {
        for (const [name, reference] of Object.entries(golden.grads_step0 as Record<string, number[]>)) {
          const gradient = await download(gradients.get(name)!, program.parameters.get(name)!);
          const norm = Math.hypot(...reference);
          if (norm > 1e-6) expect(relativeError(gradient.data, reference), name).toBeLessThan(2e-5);
          else expect(Math.hypot(...gradient.data), name).toBeLessThan(1e-6);
        }
      }
      tf.dispose([loss.loss, loss.correct]);
      optimizer.apply(gradients, 0.1);
    }
    expect(tf.memory().numTensors, 'tensors leaked').toBe(tensorsBefore);
    const { values } = (await program.save()).graph;
    for (const [name, reference] of Object.entries({ ...golden.final_params, ...golden.final_buffers })) {
      const difference = [...(values.get(name)!.constant!.data as Float32Array)].map(
        (v, i) => v - (reference as number[])[i]!,
      );
      expect(Math.hypot(...difference), name).toBeLessThan(2e-5 * Math.max(1, Math.hypot(...(reference as number[]))));
    }
    const logits = program.infer(x, settings);
    expect(relativeError(logits.dataSync(), golden.eval_logits_after)).toBeLessThan(1e-4);
  });
});
