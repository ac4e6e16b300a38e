/** What an evaluation counts as right. */

import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { expect, it } from 'vitest';
import type { Batch } from '../../../src/data/batches/batch-maker.ts';
import { evaluate } from '../../../src/training/measures/evaluate.ts';
import type { Program, RunSettings } from '../../../src/training/program/program.ts';

/** Pictures of one pixel, for which a network gives these logits. */
async function evaluated(logits: readonly (readonly number[])[], labels: readonly number[]) {
  await tf.setBackend('cpu');
  const count = labels.length;
  const batch = {
    images: new Float32Array(count),
    labels: Int32Array.from(labels),
    indices: Int32Array.from(labels.keys()),
    count,
  } as Batch;
  const batches = {
    async *epoch() {
      yield batch;
    },
  };
  const program = { inferInTurns: async () => tf.tensor2d(logits.flat(), [count, logits[0]!.length]) };
  return evaluate(program as unknown as Program, batches, { height: 1, width: 1, channels: 1 }, {} as RunSettings);
}

const nan = Number.NaN;

it('takes the largest logit, the first of equals', async () => {
  const logits = [
    [1, 3, 3],
    [0, -1, 0],
    [0, 0, 1],
  ];
  const found = await evaluated(logits, [1, 0, 1]);
  expect(found).toMatchObject({ images: 3, top1: 2 / 3, predictions: [1, 0, 2] });
});

it.each([
  [
    [
      [nan, nan, nan],
      [nan, nan, nan],
      [4, 0, 0],
    ],
  ],
  [
    [
      [nan, 1, 0],
      [5, nan, 1],
      [4, 0, 0],
    ],
  ],
])('nothing is decided where logits are %j', async (logits) => {
  const { top1, predictions, confidences, loss } = await evaluated(logits, [0, 0, 0]);
  expect({ top1, predictions, loss }).toEqual({ top1: 1 / 3, predictions: [-1, -1, 0], loss: nan });
  expect(confidences.slice(0, 2)).toEqual([0, 0]);
});

it('of one logit too', async () => {
  expect(await evaluated([[nan], [1], [-1]], [0, 1, 0])).toMatchObject({ top1: 2 / 3, predictions: [-1, 1, 0] });
});
