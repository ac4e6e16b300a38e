import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { NativeBackend } from '../../../src/backends/native/backend.ts';
import { NativeRecorder } from '../../../src/backends/native/native-recorder.ts';
import { StepReplay } from '../../../src/training/learning/step-replay.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import { loadCheckpoint } from '../../../src/training/sessions/checkpoint-io.ts';
import { readHistory } from '../../../src/training/sessions/history-io.ts';
import { train } from '../../../src/training/sessions/trainer.ts';
import { buildModel } from '../../../src/zoo/zoo.ts';
import { type Trained, takeSteps } from '../take-steps.ts';
import { describeNative, native, setThreads } from './harness.ts';

/** A backend of its own, whose memory nobody else has used. */
async function freshBackend(): Promise<NativeBackend> {
  await tf.setBackend('cpu');
  tf.removeBackend('native');
  if (!native.ok) throw new Error('unreachable');
  const backend = new NativeBackend(native.value);
  tf.registerBackend('native', () => backend);
  await tf.setBackend('native');
  return backend;
}

function recorderOf(backend: NativeBackend): NativeRecorder {
  if (!native.ok) throw new Error('unreachable');
  return new NativeRecorder(backend, native.value);
}

const STEPS = 5;
const SIDE = 16;

interface Measured extends Trained {
  readonly peakBytes: number;
  readonly heldBytes: number;
}

/** On a backend of its own, which has all its memory back afterwards. */
async function trainOn(model: string, rule: string, batch: number, replays: boolean): Promise<Measured> {
  const backend = await freshBackend();
  let memory = backend.poolStatistics();
  const trained = await takeSteps({
    ...{ model: buildModel(model, { seed: 1, imageSize: SIDE }), optimizer: rule, steps: STEPS },
    shape: [batch, SIDE, SIDE, model === 'binarynet-mini' ? 1 : 3],
    recorder: replays ? recorderOf(backend) : null,
    atEnd: () => {
      memory = backend.poolStatistics();
    },
  });
  expect(backend.poolStatistics().bytesInUse).toBe(0);
  return { ...trained, peakBytes: memory.peakBytes, heldBytes: memory.bytesInUse + memory.bytesPooled };
}

describeNative('recorded training steps', () => {
  it.each([
    ['binarynet-mini', 'sgd', 2, 1],
    ['binarynet-mini', 'adam', 2, 2],
    ['binarynet-mini', 'bop', 2, 1],
    // Its parameters are so few that the rest is activations, and its steps are long enough for another thread.
    ['resnet20', 'adam', 16, 2],
    ['resnet20-1w32a', 'sgd', 2, 2],
  ] as const)('%s, %s: the same figures and weights, to the last bit', async (model, rule, batch, threads) => {
    setThreads(threads);
    const want = await trainOn(model, rule, batch, false);
    const got = await trainOn(model, rule, batch, true);
    expect(got.replays).toBe(STEPS - 1);
    expect(got.figures).toEqual(want.figures);
    expect(got.weights).toEqual(want.weights);
    expect(got.heldBytes).toBe(want.heldBytes);
    // Old and new values of the state are there at the same time once, which is little beside the activations of a larger batch.
    if (batch >= 16) expect(got.peakBytes).toBeLessThan(1.03 * want.peakBytes);
  });
});

describeNative('a recorder', () => {
  interface Counter {
    readonly meanwhile?: (w: tf.Tensor) => Promise<void>;
    /** Of w and x: the next w. */
    readonly next?: (w: tf.Tensor, x: tf.Tensor) => tf.Tensor;
    readonly first?: readonly number[];
  }

  /** w ← w + x, and w as the result. */
  function createCounter(backend: NativeBackend, { meanwhile, next = tf.add, first = [1, 2] }: Counter = {}) {
    const replay = new StepReplay(recorderOf(backend));
    let w: tf.Tensor = tf.tensor1d([...first]);
    const step = async (x: ArrayLike<number>, labels = Int32Array.of(1)) => {
      const data = Float32Array.from(x);
      const taken = await replay.take(
        '',
        [data, labels],
        { lr: 0, step: 1 },
        {
          state: () => [w],
          run: async (input) => {
            const xs = input(tf.tensor1d(data));
            const factor = input(tf.tensor1d(labels, 'int32'));
            const made = tf.tidy(() => next(w, tf.mul(xs, tf.cast(factor, 'float32'))));
            await meanwhile?.(w);
            tf.dispose([w, xs, factor]);
            w = made;
            return tf.clone(w);
          },
        },
      );
      return { values: [...(await taken.result)], isReplay: taken.isReplay };
    };
    return { step, weights: () => w, replay };
  }

  it('changes no tensor that somebody else holds', async () => {
    const { step, weights } = createCounter(await freshBackend());
    expect(await step([1, 1])).toEqual({ values: [2, 3], isReplay: false });
    const held = tf.clone(weights());
    expect(await step([1, 2])).toEqual({ values: [3, 5], isReplay: false });
    expect(await step([1, 3])).toEqual({ values: [4, 8], isReplay: false });
    expect(await step([1, 4])).toEqual({ values: [5, 12], isReplay: true });
    expect([...(await held.data())]).toEqual([2, 3]);
  });

  it('changes nothing that somebody has read', async () => {
    const { step, weights } = createCounter(await freshBackend());
    await step([1, 1]);
    const read = await weights().data();
    expect((await step([1, 1])).isReplay).toBe(true);
    expect([...read]).toEqual([2, 3]);
    expect([...(await weights().data())]).toEqual([3, 4]);
  });

  it('runs kernels of tfjs again on other data, integers too', async () => {
    const next = (w: tf.Tensor, x: tf.Tensor) => tf.add(w, tf.exp(x));
    const { step } = createCounter(await freshBackend(), { next });
    await step([0, 0], Int32Array.of(1));
    const { values, isReplay } = await step([1, -1], Int32Array.of(2));
    expect(isReplay).toBe(true);
    expect(values).toEqual([2, 3].map((was, i) => Math.fround(was + Math.fround(Math.exp(i === 0 ? 2 : -2)))));
  });

  it('copies what is read after it was replaced', async () => {
    // The new w is known before the old one was read for the last time.
    const next = (w: tf.Tensor, x: tf.Tensor) => {
      const reversed = tf.reverse(w);
      const sum = tf.add(w, x);
      return tf.add(sum, tf.sub(tf.mul(reversed, 2), tf.mul(w, 2)));
    };
    const { step } = createCounter(await freshBackend(), { next, first: [1, 2, 3] });
    expect((await step([0, 0, 0])).values).toEqual([5, 2, -1]);
    expect(await step([1, 1, 1])).toEqual({ values: [-6, 3, 12], isReplay: true });
    expect(await step([0, 0, 0])).toEqual({ values: [30, 3, -24], isReplay: true });
  });

  it('runs nothing again that was read from meanwhile', async () => {
    const meanwhile = async (w: tf.Tensor) => {
      await w.data();
    };
    const { step } = createCounter(await freshBackend(), { meanwhile });
    expect(await step([1, 1])).toEqual({ values: [2, 3], isReplay: false });
    expect(await step([1, 1])).toEqual({ values: [3, 4], isReplay: false });
  });

  it('runs nothing again that left a tensor behind', async () => {
    const left: tf.Tensor[] = [];
    const next = (w: tf.Tensor, x: tf.Tensor) => {
      left.push(tf.keep(tf.mul(x, 2)));
      return tf.add(w, x);
    };
    const { step } = createCounter(await freshBackend(), { next });
    await step([1, 1]);
    expect((await step([1, 1])).isReplay).toBe(false);
    expect(left).toHaveLength(2);
  });

  it('gives everything back after a failure, and when it is dropped', async () => {
    const backend = await freshBackend();
    const first = Array.from({ length: 1000 }, (_, i) => i);
    const failing = createCounter(backend, { first, meanwhile: () => Promise.reject(new Error('no')) });
    await expect(failing.step(first)).rejects.toThrow('no');
    failing.weights().dispose();
    const other = createCounter(backend, { first });
    const before = tf.memory().numTensors;
    await other.step(first);
    expect((await other.step(first)).isReplay).toBe(true);
    other.replay.drop();
    expect([...(await other.weights().data())].slice(0, 3)).toEqual([0, 3, 6]);
    expect(tf.memory().numTensors).toBe(before);
    const { bytesInUse } = backend.poolStatistics();
    other.weights().dispose();
    expect(bytesInUse - backend.poolStatistics().bytesInUse).toBe(4 * 1008);
  });

  it('lets the event loop turn while it computes', async () => {
    const size = 2 ** 20;
    const { step, replay } = createCounter(await freshBackend(), { first: Array.from({ length: size }, () => 1) });
    const x = new Float32Array(size).fill(1);
    await step(x);
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    const many = vi.spyOn(replay, 'take');
    while (turns === 0 && many.mock.calls.length < 1000) await step(x);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
  });

  it('refuses data of another size', async () => {
    const { step } = createCounter(await freshBackend());
    await step([1, 1]);
    await expect(step([1, 1, 1])).rejects.toThrow('input 0 of a step has 3 numbers, expected 2');
  });
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-replay-'));
});
afterAll(() => rm(folder, { recursive: true }));

describeNative('a run with recorded steps', () => {
  // Four batches of 2 in an epoch, and a picture that is left out; ReSTE's power changes from epoch to epoch. The average's decay grows for five steps.
  const BASE = {
    ...{ limitTrain: 9, limitTest: 2, epochs: 2, batchSize: 2, lr: 0.01 },
    ...{ backend: 'native', threads: 1, schedule: 'cosine' },
  };

  const TEACHER = { teacher: 'a function', teacherWeight: 0.5, temperature: 2 };

  it.each([
    ['Adam, mixup, an average of the weights', { mixup: 0.4, emaDecay: 0.4 }, 3],
    ['Bop and indicators', { optimizer: 'bop', indicators: true }, 6],
    ['a teacher of transformed weights', { ...TEACHER, weightTransform: 'standardize', warmupEpochs: 1 }, 6],
    ['SGD, learned values, silent weights', { optimizer: 'sgd', binaryValues: 'learned', silentScale: 0.1 }, 6],
  ] as const)('%s: the same history and checkpoint', async (name, extra, replays) => {
    const recipe = parseRecipe([{ ...BASE, ...extra }]);
    const take = vi.spyOn(StepReplay.prototype, 'take');
    // Tells each picture's brightest pixels apart.
    const teacher = (images: Float32Array, count: number) =>
      Promise.resolve(Float32Array.from({ length: 10 * count }, (_, i) => images[78 * i] ?? 0));
    const results = async (out: string) => {
      await train(recipe, { out, ...('teacher' in extra && { teacher }) });
      const { model, optimizer } = await loadCheckpoint(join(out, 'last'));
      const history = await readHistory(join(out, 'history.jsonl'));
      const constants = [...model.graph.values.values()].flatMap(({ constant }) => constant ?? []);
      return {
        history: history.map(({ seconds: _, imagesPerSecond: _speed, waitShare: _wait, ...figures }) => figures),
        tensors: [...constants, ...optimizer.values()].map(({ data }) => data),
      };
    };
    const got = await results(join(folder, `${name} replayed`));
    const taken = await Promise.all(take.mock.results.map(({ value }) => value as ReturnType<StepReplay['take']>));
    const record = vi.spyOn(NativeRecorder.prototype, 'record').mockImplementation(async ({ run }) => {
      return { result: await run((t) => t), recording: null };
    });
    const want = await results(join(folder, `${name} recorded`));
    record.mockRestore();
    take.mockRestore();
    expect(taken.filter(({ isReplay }) => isReplay)).toHaveLength(replays);
    expect(got).toEqual(want);
  });
});
