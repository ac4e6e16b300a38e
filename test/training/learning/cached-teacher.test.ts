import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { loadNativeAddon } from '../../../src/backends/native/addon.ts';
import { type AskTeacher, cachedTeacher } from '../../../src/training/learning/cached-teacher.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import type { RecipeInput } from '../../../src/training/recipes/recipe.ts';
import { train } from '../../../src/training/sessions/trainer.ts';

vi.setConfig({ testTimeout: 120_000 });
const native = loadNativeAddon();

/** Answers by some pixels of a picture, and counts what it is asked. */
function counting(classes: number): { teacher: AskTeacher; asked: number[] } {
  const asked: number[] = [];
  const teacher: AskTeacher = async (images, count) => {
    asked.push(count);
    const pixels = images.length / count;
    const apart = Math.floor(pixels / classes);
    return Float32Array.from({ length: count * classes }, (_, i) => {
      return images[Math.floor(i / classes) * pixels + (i % classes) * apart] ?? 0;
    });
  };
  return { teacher, asked };
}

describe('a teacher with a memory', () => {
  const pictures = (...ids: number[]): Float32Array => Float32Array.from(ids.flatMap((id) => [id, 10 * id]));

  it('answers as it did, and asks for what is new only', async () => {
    const { teacher, asked } = counting(2);
    const cached = cachedTeacher(teacher, 1e6);
    const both = async (images: Float32Array): Promise<void> => {
      const count = images.length / 2;
      expect(await cached(images, count)).toEqual(await counting(2).teacher(images, count));
    };
    await both(pictures(1, 2, 3));
    await both(pictures(3, 4, 1, 5));
    await both(pictures(5, 1));
    await both(pictures(6, 6));
    await both(pictures(6));
    expect(asked).toEqual([3, 2, 2]);
  });

  it('keeps no more than it may', async () => {
    const { teacher, asked } = counting(2);
    const cached = cachedTeacher(teacher, 400);
    for (let round = 0; round < 2; round++)
      for (const id of [1, 2, 3, 4]) expect(await cached(pictures(id), 1)).toEqual(pictures(id));
    expect(asked.length).toBe(6);
  });
});

describe.skipIf(!native.ok)(`runs${native.ok ? '' : ` (skipped: ${native.reason})`}`, () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bnn-ingredients-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const bytesOf = async (name: string): Promise<Buffer[]> =>
    Promise.all(['model.onnx', 'optimizer.safetensors'].map((file) => readFile(join(folder, name, 'last', file))));

  it('learn the same from it, and ask for each picture once in each form', async () => {
    const recipe: RecipeInput = {
      ...{ limitTrain: 320, limitTest: 50, batchSize: 64, epochs: 4, backend: 'native', threads: 1 },
      ...{ flip: true, alternateFlip: true, teacher: 'a function' },
    };
    const asked: number[] = [];
    for (const [name, teacherCache] of [
      ['plain', 0],
      ['cached', 1],
    ] as const) {
      const counter = counting(10);
      await train(parseRecipe([recipe, { teacherCache }]), { out: join(folder, name), teacher: counter.teacher });
      asked.push(counter.asked.reduce((a, b) => a + b, 0));
    }
    expect(await bytesOf('cached')).toEqual(await bytesOf('plain'));
    expect(asked).toEqual([4 * 320, 2 * 320]);
  });

  const METHODS: Readonly<Record<string, RecipeInput>> = {
    'AdaBin, silent weights, Muon': {
      ...{ binaryValues: 'adabin', weightEstimator: 'ede', activationEstimator: 'approx-sign', optimizer: 'muon' },
      ...{ silentScale: 0.04, silentDecay: 9e-4, silentMomentum: 0.9, clipGradients: 1, clipGradientsBy: 'role' },
      ...{ indicators: true, emaDecay: 0.9, reestimate: true, samplePictures: 128 },
    },
    'BiPer with learned factors': {
      ...{ binaryValues: 'learned', weightTransform: 'biper', biperFrequency: 15, biperTau: 0.04, relaxShare: 0.5 },
      ...{ weightEstimator: 'ste-identity', activationEstimator: 'approx-sign', activationDeviation: 'through' },
      ...{ binaryLr: 0.5, normDecay: 0, weightDecay: 1e-4, optimizer: 'sgd', lr: 0.05, schedule: 'restarts' },
    },
  };
  it.each(Object.entries(METHODS))('%s: learns, and a resumed run ends with the same bits', async (name, method) => {
    const small = { limitTrain: 640, limitTest: 300, batchSize: 64, epochs: 3, backend: 'native', threads: 1 };
    const recipe = parseRecipe([small, method]);
    const whole = await train(recipe, { out: join(folder, `${name} whole`) });
    expect(whole.testTop1).toBeGreaterThan(0.3);
    const stop = new AbortController();
    let steps = 0;
    const part = await train(recipe, {
      out: join(folder, `${name} part`),
      signal: stop.signal,
      onStep: () => {
        // Inside the second epoch.
        if (++steps === 14) stop.abort();
      },
    });
    expect(part.interrupted).toBe(true);
    await train(recipe, { out: join(folder, `${name} part`), resume: true });
    expect(await bytesOf(`${name} part`)).toEqual(await bytesOf(`${name} whole`));
  });
});
