import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { BACKENDS } from '../../../src/backends/backends.ts';
import { CommandRecorder } from '../../../src/backends/webgpu/command-recorder.ts';
import { rowNamed } from '../../../src/core/row-named.ts';
import { StepReplay } from '../../../src/training/learning/step-replay.ts';
import { loadCheckpoint } from '../../../src/training/sessions/checkpoint-io.ts';
import { readHistory } from '../../../src/training/sessions/history-io.ts';
import { train } from '../../../src/training/sessions/trainer.ts';
import { type Trained, takeSteps } from '../take-steps.ts';
import { describeWebgpu, webgpu } from './device.ts';
import { BATCH, buildTiny, CHANNELS, SIDE, TINY } from './tiny-run.ts';

const STEPS = 5;

async function trainTiny(optimizer: string, replays: boolean, steps = STEPS): Promise<Trained> {
  await tf.setBackend('webgpu');
  if (!webgpu.ok) throw new Error('unreachable');
  return takeSteps({
    ...{ model: buildTiny({ seed: 1 }), shape: [BATCH, SIDE, SIDE, CHANNELS], optimizer, steps },
    recorder: replays ? new CommandRecorder(webgpu.value.backend) : null,
  });
}

describeWebgpu('recorded training steps', () => {
  it.each(['sgd', 'adam'] as const)('%s: the same figures and weights, to the last bit', async (name) => {
    const want = await trainTiny(name, false);
    if (!webgpu.ok) return;
    const pool = webgpu.value.backend.bufferManager;
    const usedBefore = pool.numBytesUsed;
    const got = await trainTiny(name, true);
    // Staging buffers of readings aside, all that was reserved is back: a second run needs no new memory.
    expect(pool.numBytesUsed).toBe(usedBefore);
    const allocated = pool.numBytesAllocated;
    await trainTiny(name, true, 2);
    expect(pool.numBytesAllocated).toBe(allocated);
    expect(got.replays).toBe(STEPS - 1);
    expect(got.figures).toEqual(want.figures);
    expect(got.weights).toEqual(want.weights);
  });
});

describeWebgpu('a recorder', () => {
  /** w ← w + x, and w as the result. */
  function createCounter(meanwhile: (w: tf.Tensor) => Promise<void> = async () => {}) {
    if (!webgpu.ok) throw new Error('unreachable');
    const replay = new StepReplay(new CommandRecorder(webgpu.value.backend));
    let w: tf.Tensor = tf.tensor1d([1, 2]);
    const step = async (x: number[]) => {
      const data = Float32Array.from(x);
      const taken = await replay.take(
        '',
        [data],
        { lr: 0, step: 1 },
        {
          state: () => [w],
          run: async (input) => {
            const next = tf.tidy(() => tf.add(w, input(tf.tensor1d(data))));
            await meanwhile(w);
            w.dispose();
            w = next;
            return tf.clone(w);
          },
        },
      );
      return { values: [...(await taken.result)], isReplay: taken.isReplay };
    };
    const profile = (x: number[]) => replay.profile('', [Float32Array.from(x)], { lr: 0, step: 1 }, [w]);
    return { step, profile, weights: () => w };
  }

  it('changes no tensor that somebody else holds', async () => {
    await tf.setBackend('webgpu');
    const { step, weights } = createCounter();
    expect(await step([1, 1])).toEqual({ values: [2, 3], isReplay: false });
    const held = tf.clone(weights());
    expect(await step([1, 2])).toEqual({ values: [3, 5], isReplay: false });
    expect(await step([1, 3])).toEqual({ values: [4, 8], isReplay: false });
    expect(await step([1, 4])).toEqual({ values: [5, 12], isReplay: true });
    expect([...(await held.data())]).toEqual([2, 3]);
  });

  it('reads a tensor anew after it changed', async () => {
    await tf.setBackend('webgpu');
    const { step, weights } = createCounter();
    await step([1, 1]);
    expect([...(await weights().data())]).toEqual([2, 3]);
    expect((await step([1, 1])).isReplay).toBe(true);
    expect([...(await weights().data())]).toEqual([3, 4]);
  });

  it('times its commands, which take a step', async () => {
    await tf.setBackend('webgpu');
    const { step, profile, weights } = createCounter();
    expect(await profile([1, 1])).toBeNull();
    await step([1, 1]);
    const commands = await profile([2, 2]);
    if (webgpu.ok && !webgpu.value.backend.device.features.has('timestamp-query')) return;
    expect(commands).toEqual([
      {
        label: 'tfjs: BinaryOp',
        scope: expect.any(String) as string,
        multiplyAdds: 0,
        bytes: expect.any(Number) as number,
        ms: expect.any(Number) as number,
      },
    ]);
    expect(commands?.[0]?.ms).toBeGreaterThan(0);
    expect([...(await weights().data())]).toEqual([4, 5]);
    expect(await step([1, 1])).toEqual({ values: [5, 6], isReplay: true });
  });

  it('runs nothing again that was read from meanwhile', async () => {
    await tf.setBackend('webgpu');
    const { step } = createCounter(async (w) => {
      await w.data();
    });
    expect(await step([1, 1])).toEqual({ values: [2, 3], isReplay: false });
    expect(await step([1, 1])).toEqual({ values: [3, 4], isReplay: false });
  });

  it('gives everything back after a failure', async () => {
    await tf.setBackend('webgpu');
    if (!webgpu.ok) return;
    const before = webgpu.value.backend.bufferManager.numBytesUsed;
    const { step, weights } = createCounter(() => Promise.reject(new Error('no')));
    await expect(step([1, 1])).rejects.toThrow('no');
    weights().dispose();
    // A tensor of the step that failed is left to whoever made it.
    expect(webgpu.value.backend.bufferManager.numBytesUsed - before).toBeLessThanOrEqual(8);
    const other = createCounter();
    expect(await other.step([1, 1])).toEqual({ values: [2, 3], isReplay: false });
    expect(await other.step([1, 1])).toEqual({ values: [3, 4], isReplay: true });
  });
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-replay-'));
});
afterAll(() => rm(folder, { recursive: true }));

describeWebgpu('a run with recorded steps', () => {
  // ReSTE's power changes from epoch to epoch. The average's decay grows for five steps.
  const BASE = {
    model: 'tiny',
    dataset: 'noise',
    epochs: 2,
    batchSize: BATCH,
    padCrop: 1,
    flip: true,
    backend: 'webgpu' as const,
    lr: 0.01,
    schedule: 'cosine',
  };
  const { capabilities } = rowNamed(BACKENDS, 'webgpu') as { capabilities: { deviceMemory: boolean } };

  it.each([
    ['SGD', {}, 6],
    ['Adam, mixup, an average of the weights', { optimizer: 'adam', mixup: 0.4, emaDecay: 0.4 }, 3],
    ['Bop and indicators', { optimizer: 'bop', indicators: true }, 6],
    ['a teacher', { teacher: 'a function', teacherWeight: 0.5, temperature: 2, epochs: 1 }, 3],
    ['transformed weights', { weightTransform: 'standardize', warmupEpochs: 1 }, 6],
  ] as const)('%s: the same history and checkpoint', async (name, extra, replays) => {
    const recipe = { ...BASE, ...extra };
    const take = vi.spyOn(StepReplay.prototype, 'take');
    // Tells each picture's brightest pixels apart.
    const teacher = (images: Float32Array, count: number) =>
      Promise.resolve(Float32Array.from({ length: 10 * count }, (_, i) => images[24 * i] ?? 0));
    const results = async (out: string) => {
      await train(recipe, { out, plugins: [TINY], ...('teacher' in extra && { teacher }) });
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
    const record = vi.spyOn(CommandRecorder.prototype, 'record').mockImplementation(async ({ run }) => {
      return { result: await run((t) => t), recording: null };
    });
    // And with pictures that the host normalizes.
    capabilities.deviceMemory = false;
    const want = await results(join(folder, `${name} recorded`));
    capabilities.deviceMemory = true;
    const uploaded = take.mock.calls.map(([, [images]]) => images?.constructor.name);
    record.mockRestore();
    take.mockRestore();
    expect(taken.filter(({ isReplay }) => isReplay)).toHaveLength(replays);
    const half = uploaded.length / 2;
    const areBytes = !('mixup' in extra || 'teacher' in extra);
    expect(new Set(uploaded.slice(0, half))).toEqual(new Set([areBytes ? 'Int32Array' : 'Float32Array']));
    expect(new Set(uploaded.slice(half))).toEqual(new Set(['Float32Array']));
    expect(got).toEqual(want);
  });
});
