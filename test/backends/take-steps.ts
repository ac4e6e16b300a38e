/** Training steps as training takes them, with or without a recorder. */

import * as tf from '@tensorflow/tfjs-core';
import type { StepRecorder } from '../../src/backends/step-recorder.ts';
import { rowNamed } from '../../src/core/row-named.ts';
import { createReste } from '../../src/estimators/reste.ts';
import type { Model } from '../../src/graph/model.ts';
import { lossGradients } from '../../src/training/learning/learn-batch.ts';
import { softmaxCrossEntropy } from '../../src/training/learning/loss.ts';
import { StepReplay } from '../../src/training/learning/step-replay.ts';
import { OPTIMIZERS, Optimizer, type OptimizerRow } from '../../src/training/optimizers/optimizer.ts';
import { Program } from '../../src/training/program/program.ts';
import { normal } from './compare-kernels.ts';

export interface Steps {
  readonly model: Model;
  /** Of the pictures: [batch, height, width, channels]. */
  readonly shape: readonly [number, number, number, number];
  readonly optimizer: string;
  readonly steps: number;
  /** Null: every step is taken call by call. */
  readonly recorder: StepRecorder | null;
  /** Called at the end, while the last recording is still there. */
  readonly atEnd?: () => void;
}

export interface Trained {
  readonly figures: number[][];
  readonly weights: Float32Array[];
  /** Steps that were recorded ones, run again. */
  readonly replays: number;
}

/** Trains on the current backend, with another batch and another learning rate in each step. */
export async function takeSteps({ model, shape, optimizer: rule, steps, recorder, atEnd }: Steps): Promise<Trained> {
  const replay = recorder === null ? null : new StepReplay(recorder);
  const program = new Program(model, { explicitPadding: true });
  const optimizer = new Optimizer(program, {
    ...{ weightDecay: 1e-4, weightDecayOn: 'all', clampWeights: 1 },
    optimizer: rowNamed<OptimizerRow>(OPTIMIZERS, rule),
    values: { momentum: 0.9, bopGamma: 1e-4, bopThreshold: 1e-8, bopDecay: 0.1 },
  });
  const state = () => [...program.tensors(), ...optimizer.tensors()];
  const reste = createReste(2);
  const figures: number[][] = [];
  let replays = 0;
  for (let step = 0; step < steps; step++) {
    const images = normal(shape, step + 2).values;
    const labels = Int32Array.from({ length: shape[0] }, (_, i) => (i + step) % 10);
    const lr = 0.01 / (1 + step);
    const run = async (input: <T extends tf.Tensor>(t: T) => T) => {
      const { figures, gradients } = await lossGradients(
        program,
        { weightEstimator: reste, activationEstimator: reste },
        () => {
          const x = input(tf.tensor4d(images, [...shape]));
          const y = input(tf.tensor1d(labels, 'int32'));
          return { images: x, loss: (logits) => softmaxCrossEntropy(logits, y, 0.1) };
        },
      );
      optimizer.apply(gradients, lr);
      return figures;
    };
    if (replay === null) {
      const result = await run((t) => t);
      figures.push([...(await result.data())]);
      result.dispose();
    } else {
      const { result, isReplay } = await replay.take('', [images, labels], { lr, step: step + 1 }, { state, run });
      if (isReplay) {
        optimizer.advance();
        replays++;
      }
      figures.push([...(await result)]);
    }
  }
  const weights = await Promise.all(state().map(async (t) => Float32Array.from(await t.data())));
  atEnd?.();
  replay?.drop();
  optimizer.dispose();
  program.dispose();
  return { figures, weights, replays };
}
