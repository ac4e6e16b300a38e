import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { createReste } from '../../../src/estimators/reste.ts';
import { softmaxCrossEntropy } from '../../../src/training/learning/loss.ts';
import { Program } from '../../../src/training/program/program.ts';
import { runAtOnce, runInTurns } from '../../../src/training/program/turns.ts';
import { buildModel } from '../../../src/zoo/zoo.ts';

/** Parts that take `partMs` each on a clock of their own, and a log of what ran when. */
function createWork(parts: number, partMs: number) {
  const log: string[] = [];
  let clock = 0;
  function* work(): Generator<void, string> {
    for (let i = 0; i < parts; i++) {
      log.push(`part ${i}`);
      clock += partMs;
      yield;
    }
    return 'done';
  }
  return { work: work(), now: () => clock, log };
}

/** Logs each turn of the event loop until `stop`. */
function watchTurns(log: string[]): () => void {
  let timer = setImmediate(tick);
  function tick(): void {
    log.push('turn');
    timer = setImmediate(tick);
  }
  return () => clearImmediate(timer);
}

it('slow parts leave a turn to the event loop after each', async () => {
  const { work, now, log } = createWork(3, 60);
  const stop = watchTurns(log);
  expect(await runInTurns(work, now)).toBe('done');
  stop();
  expect(log).toEqual(['part 0', 'turn', 'part 1', 'turn', 'part 2', 'turn']);
});

it('quick parts run together', async () => {
  const { work, now, log } = createWork(5, 20);
  const stop = watchTurns(log);
  await runInTurns(work, now);
  stop();
  expect(log).toEqual(['part 0', 'part 1', 'part 2', 'turn', 'part 3', 'part 4']);
});

it('at once: no turns', () => {
  const { work, log } = createWork(2, 60);
  expect(runAtOnce(work)).toBe('done');
  expect(log).toEqual(['part 0', 'part 1']);
});

it('a program in turns computes the bits that it computes at once', { timeout: 60_000 }, async () => {
  await tf.setBackend('cpu');
  const settings = { weightEstimator: createReste(2), activationEstimator: createReste(2) };
  const x = tf.randomNormal([2, 9, 9, 1], 0, 1, 'float32', 5) as tf.Tensor4D;
  const loss = (logits: tf.Tensor) => {
    const { dlogits } = softmaxCrossEntropy(logits, tf.tensor1d([1, 2], 'int32'), 0);
    return { loss: logits.dataSync(), dlogits };
  };
  const create = () => new Program(buildModel('binarynet-mini', { seed: 3, imageSize: 9 }), { explicitPadding: true });
  const [first, second] = [create(), create()];
  const want = first.differentiate(x, settings, loss);
  const got = await second.differentiateInTurns(x, settings, loss);
  expect(got.loss).toEqual(want.loss);
  expect([...got.gradients.keys()]).toEqual([...want.gradients.keys()]);
  for (const [name, gradient] of want.gradients) {
    expect(got.gradients.get(name)?.dataSync(), name).toEqual(gradient.dataSync());
  }
  const logits = await second.inferInTurns(x, settings);
  expect(logits.dataSync()).toEqual(first.infer(x, settings).dataSync());
});
