import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { createReste } from '../../../src/estimators/reste.ts';
import { KernelTrace } from '../../../src/training/learning/kernel-trace.ts';
import { Program } from '../../../src/training/program/program.ts';
import { buildModel } from '../../../src/zoo/zoo.ts';

const reste = createReste(2);

it.each(['resnet20', 'resnet20-bireal', 'resnet20-react'])(
  'of %s the gradient of a weight is complete when the layer is done, not at the end of the backward pass',
  async (name) => {
    await tf.setBackend('cpu');
    const program = new Program(buildModel(name, { seed: 3, imageSize: 8 }), {
      explicitPadding: true,
      synchronous: true,
    });
    const x = tf.randomNormal([2, 8, 8, 3], 0, 1, 'float32', 7);
    const trace = new KernelTrace('cpu');
    const told: { readonly name: string; readonly kernels: number }[] = [];
    let kernels = 0;
    const onGradient = (parameter: string): void => {
      kernels += trace.take().length;
      told.push({ name: parameter, kernels });
    };
    const settings = { weightEstimator: reste, activationEstimator: reste, onGradient };
    const { gradients } = program.differentiate(x, settings, (y) => ({ loss: 0, dlogits: tf.onesLike(y) }));
    trace.dispose();
    expect(told.map((one) => one.name).toSorted()).toEqual([...gradients.keys()].toSorted());
    const weights = told.filter((one) => /conv\d\.weight$/.test(one.name));
    // Three stages of three blocks of two layers, and the first one, from the last to the first.
    const names = [3, 2, 1].flatMap((stage) =>
      [2, 1, 0].flatMap((block) => [2, 1].map((conv) => `layer${stage}.${block}.conv${conv}.weight`)),
    );
    expect(weights.map((one) => one.name)).toEqual([...names, 'conv1.weight']);
    // As many kernels lie between two of them, up to what is different between layers: none is held back.
    const gaps = weights.slice(1).map((one, i) => one.kernels - (weights[i]?.kernels ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThan(0);
    expect(Math.max(...gaps)).toBeLessThan(kernels / 8);
    tf.dispose([x, ...gradients.values()]);
    program.dispose();
  },
);
