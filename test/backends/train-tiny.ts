/** A few training steps of a small zoo network on random pictures, on any backend. */

import * as tf from '@tensorflow/tfjs-core';
import { createReste } from '../../src/estimators/reste.ts';
import { run } from '../../src/kernels/run.ts';
import { softmaxCrossEntropy } from '../../src/training/learning/loss.ts';
import { Program } from '../../src/training/program/program.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { normal } from './compare-kernels.ts';

const BATCH = 8;

export interface TinyRun {
  readonly losses: number[];
  /** Of the first parameter in the first step. */
  readonly gradient: Float32Array;
  /** Tensors alive before the run. */
  readonly tensorsBefore: number;
}

/** @param beforeLast  called before the last of three steps. */
export async function trainTiny(backend: string, beforeLast: () => void = () => {}): Promise<TinyRun> {
  await tf.setBackend(backend);
  const tensorsBefore = tf.memory().numTensors;
  // Small pictures: a software device takes long for large ones.
  const model = buildModel('binarynet-mini', { seed: 1, imageSize: 12 });
  const [, channels, height, width] = (model.graph.inputs[0]?.shape ?? []).map(Number) as [
    number,
    number,
    number,
    number,
  ];
  const program = new Program(model, { explicitPadding: backend !== 'tensorflow' });
  const reste = createReste(2);
  const settings = { weightEstimator: reste, activationEstimator: reste };
  const names = [...program.parameters.values()].filter(({ role }) => role !== 'buffer').map(({ name }) => name);
  const velocities = new Map(names.map((name) => [name, tf.zeros(program.parameter(name).shape)]));
  const losses: number[] = [];
  let gradient: Float32Array | undefined;
  for (let step = 0; step < 3; step++) {
    // With pictures 1 a sum of signs is its channel's mean: the next sign then depends on the last bit of the mean.
    const pictures = normal([BATCH, height, width, channels], step + 2);
    const x = tf.tensor(pictures.values, [...pictures.shape]);
    const labels = tf.tensor1d([0, 1, 2, 3, 4, 5, 6, 7], 'int32');
    if (step === 2) beforeLast();
    const { loss, gradients } = program.differentiate(x, settings, (logits) => {
      const result = softmaxCrossEntropy(logits, labels, 0);
      return { loss: result, dlogits: result.dlogits };
    });
    for (const [name, g] of gradients) {
      const velocity = velocities.get(name)!;
      const inputs = { param: program.parameter(name), grad: g, velocity };
      const [p, v] = run('BnnSgdMomentum', inputs, { lr: 0.01, momentum: 0.9, weightDecay: 1e-4 });
      if (gradient !== undefined || name !== names[0]) g.dispose();
      velocity.dispose();
      velocities.set(name, v);
      program.setParameter(name, p);
    }
    losses.push((await loss.loss.data())[0]!);
    const first = gradients.get(names[0]!)!;
    if (!first.isDisposed) {
      gradient = Float32Array.from(await first.data());
      first.dispose();
    }
    tf.dispose([x, labels, loss.loss, loss.correct]);
  }
  tf.dispose([...velocities.values()]);
  program.dispose();
  return { losses, gradient: gradient!, tensorsBefore };
}
