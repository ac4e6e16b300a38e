/** The loss of a step is read while the device computes the next one: nothing else may change by that. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { selectBackend } from '../../../src/backends/select-backend.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import { loadCheckpoint } from '../../../src/training/sessions/checkpoint-io.ts';
import { readHistory } from '../../../src/training/sessions/history-io.ts';
import { train } from '../../../src/training/sessions/trainer.ts';

const RECIPE = { limitTrain: 16, limitTest: 4, epochs: 2, batchSize: 4, backend: 'cpu', lr: 0.01 };

vi.setConfig({ testTimeout: 60_000 });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-late-'));
  await selectBackend('cpu');
});
afterAll(() => rm(folder, { recursive: true }));

const undo: (() => void)[] = [];
afterEach(() => {
  for (const restore of undo.splice(0)) restore();
});

type Figures = tf.backend_util.TypedArray;
type KernelFunc = NonNullable<ReturnType<typeof tf.getKernel>>['kernelFunc'];

/** Lets `around` run in place of a kernel of the cpu backend. */
function replaceKernel(
  kernelName: string,
  around: (call: Parameters<KernelFunc>[0], own: KernelFunc) => unknown,
): void {
  const own = tf.getKernel(kernelName, 'cpu')!;
  const register = (kernelFunc: KernelFunc) => {
    tf.unregisterKernel(kernelName, 'cpu');
    tf.registerKernel({ kernelName, backendName: 'cpu', kernelFunc });
  };
  register((call) => around(call, own.kernelFunc) as tf.TensorInfo);
  undo.push(() => register(own.kernelFunc));
}

/** Lets `around` run in place of the cpu backend's reading of loss and number of hits. */
function replaceFigures(around: (values: Figures) => Promise<Figures>) {
  const backend = tf.backend();
  const own = backend.read.bind(backend);
  backend.read = async (id) => {
    const values = (await own(id)) as Figures;
    return values.length === 2 ? around(values) : values;
  };
  undo.push(() => {
    backend.read = own;
  });
}

it('a slow device gets the next step before the figures of the last one are there; the history stays', async () => {
  const recipe = parseRecipe([RECIPE]);
  await train(recipe, { out: join(folder, 'fast') });

  // The figures of a step come when those of the next one are asked for: whoever waits for them earlier waits for ever.
  let asked = 0;
  let release = () => {};
  replaceFigures(async (values) => {
    release();
    // Four steps of an epoch, then the test pictures in one batch.
    if (asked++ % 5 < 3) await new Promise<void>((resolve) => (release = resolve));
    return values;
  });
  const seen: number[] = [];
  const onStep = ({ batch, loss }: { batch: number; loss: number }) => {
    seen.push(batch);
    expect(loss).toBeGreaterThan(0);
  };
  await train(recipe, { out: join(folder, 'slow'), onStep });

  expect(asked).toBe(10);
  expect(seen).toEqual([2, 3, 4, 2, 3, 4]);
  const figures = async (run: string) =>
    (await readHistory(join(folder, run, 'history.jsonl'))).map(({ trainLoss, trainTop1, testLoss, testTop1, lr }) => {
      return { trainLoss, trainTop1, testLoss, testTop1, lr };
    });
  expect(await figures('slow')).toEqual(await figures('fast'));
});

it('a loss that is not a number names its batch, and the checkpoint is that of before', async () => {
  const out = join(folder, 'nan');
  let batches = 0;
  // Once in each loss: here in the third step of the second epoch, after four steps and the test pictures of the first.
  replaceKernel('Neg', (call, own) => {
    const info = own(call) as tf.TensorInfo;
    if (++batches === 8) (call.backend as MathBackendCPU).data.get(info.dataId).values = Float32Array.of(Number.NaN);
    return info;
  });
  const before = tf.memory().numTensors;
  await expect(train(parseRecipe([RECIPE]), { out })).rejects.toMatchObject({
    code: 'E_NUMERIC',
    message: 'the loss became NaN in epoch 2, batch 3',
    hint: expect.stringContaining(join(out, 'last')) as string,
  });
  expect(tf.memory().numTensors).toBe(before);
  const { state, optimizer } = await loadCheckpoint(join(out, 'last'));
  expect(state).toMatchObject({ epoch: 1, batch: 0, step: 4 });
  for (const { data } of optimizer.values()) expect(Array.from(data as Float32Array).every(Number.isFinite)).toBe(true);
});

it.each([
  ['at the end of an epoch', 8],
  ['in the last step of all', 16],
])('an update that leaves no numbers %s is not saved, and the run goes on from before', async (_, step) => {
  const out = join(folder, `lost-${step}`);
  let calls = 0;
  const recipe = parseRecipe([{ ...RECIPE, epochs: 4, optimizer: 'sgd' }]);
  // The gradient of one convolution in that step, whose loss is a number still.
  const layers = 3;
  replaceKernel('Conv2DBackpropFilter', (call, own) => {
    const info = own(call) as tf.TensorInfo;
    const { values } = (call.backend as MathBackendCPU).data.get(info.dataId);
    if (++calls === layers * step) (values as Float32Array)[0] = Number.POSITIVE_INFINITY;
    return info;
  });
  await expect(train(recipe, { out })).rejects.toMatchObject({
    code: 'E_NUMERIC',
    message: expect.stringMatching(
      new RegExp(`^conv\\d?\\.weight holds numbers that are none after step ${step}$`),
    ) as string,
    hint: expect.stringContaining(join(out, 'last')) as string,
  });
  const { state } = await loadCheckpoint(join(out, 'last'));
  expect(state).toMatchObject({ epoch: step / 4 - 1, batch: 0 });
  const { testTop1 } = await train(recipe, { out, resume: true });
  expect(testTop1).toBeGreaterThanOrEqual(0);
  expect((await readHistory(join(out, 'history.jsonl'))).length).toBe(4);
});

it.each(['while it is recorded', 'while it is computed'])(
  'too little memory for a step, found %s: the error names a batch size that fits, and everything is freed',
  async (when) => {
    const before = tf.memory().numTensors;
    const failure = new Error('OOM when allocating tensor with shape[4,28,28,16] and type float');
    let pictures = 0;
    replaceKernel('Conv2DBackpropFilter', (call, own) => {
      pictures = call.inputs['x']!.shape[0]!;
      if (when === 'while it is recorded' && pictures > 2) throw failure;
      return own(call);
    });
    if (when === 'while it is computed') {
      replaceFigures((values) => (pictures > 2 ? Promise.reject(failure) : Promise.resolve(values)));
    }
    await expect(train(parseRecipe([RECIPE]), { out: join(folder, when) })).rejects.toMatchObject({
      code: 'E_BACKEND',
      message: 'there is too little memory for a training step of 4 pictures',
      hint: '--batch-size 2 fits',
      cause: failure,
    });
    expect(tf.memory().numTensors).toBe(before);
  },
);
