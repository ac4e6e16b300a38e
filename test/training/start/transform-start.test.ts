/** Runs that start from another run's network with a weight transform, and stages in which weights are relaxed. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { loadNativeAddon } from '../../../src/backends/native/addon.ts';
import { Rng } from '../../../src/core/numbers/rng.ts';
import { namesOf } from '../../../src/core/row-named.ts';
import { tensor } from '../../../src/core/tensors/tensor.ts';
import { readModel } from '../../../src/onnx/model-io.ts';
import { WEIGHT_TRANSFORMS, type WeightTransformRow } from '../../../src/training/optimizers/weight-transform.ts';
import { defaultRecipe, parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import { type RecipeInput, valuesOf } from '../../../src/training/recipes/recipe.ts';
import { readHistory } from '../../../src/training/sessions/history-io.ts';
import { train } from '../../../src/training/sessions/trainer.ts';
import { centredLatent, sameLatent, sineLatent } from '../../../src/training/start/latent-start.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });
const native = loadNativeAddon();

describe.each<WeightTransformRow>([...WEIGHT_TRANSFORMS])('latent weights for $name', (row) => {
  const values = valuesOf(defaultRecipe());
  const latentFor: NonNullable<WeightTransformRow['latentFor']> = row.latentFor ?? sameLatent;
  const rng = new Rng(8);
  const draw = (scale: number) => Float32Array.from({ length: 240 }, () => scale * rng.normal());
  const transform = row.create(0, 10, values);
  it.each([
    ['small weights', draw(0.05)],
    ['large weights', draw(3)],
    ['weights of ±1', draw(1).map(Math.sign)],
    ['zeros among them', draw(0.1).map((w, i) => (i % 7 === 0 ? 0 : w))],
    ['nearly all of one sign', draw(0.1).map((w, i) => (i % 29 === 0 ? -1e-9 : Math.abs(w)))],
  ])('%s: the transform gives their signs', (_, w) => {
    for (const [shape, axis] of [
      [[8, 5, 3, 2], 0],
      [[30, 8], 1],
    ] as const) {
      const { latent, unreachable } = latentFor(tensor('float32', [...shape], w), axis, values);
      const given = tf.tidy(() => transform.forward(tf.tensor(latent.data, [...shape]), axis).dataSync());
      expect(Array.from(given, (u) => u >= 0)).toEqual(Array.from(w, (u) => u >= 0));
      expect(unreachable).toBe(0);
    }
  });
});

it('of a filter whose weights all have one sign, centring cannot give the signs, and says so', () => {
  const w = Float32Array.of(1, 2, 3, -1, 2, -3);
  expect(centredLatent(tensor('float32', [2, 3], w), 0).unreachable).toBe(1);
  expect(sineLatent(tensor('float32', [2, 3], w), 20).unreachable).toBe(0);
});

describe.skipIf(!native.ok)(`runs${native.ok ? '' : ` (skipped: ${native.reason})`}`, () => {
  const SMALL = {
    ...{ limitTrain: 2560, limitTest: 1000, batchSize: 64, epochs: 2, lr: 0.003 },
    ...{ weightEstimator: 'ste-identity', backend: 'native', threads: 1 },
  };
  let folder: string;
  const at = (name: string): string => join(folder, name);
  const run = (name: string, ...recipe: RecipeInput[]) => train(parseRecipe([SMALL, ...recipe]), { out: at(name) });
  const startOf = (name: string) => ({ init: join(at(name), 'last/model.onnx'), lr: 0, epochs: 1 });
  const signsOf = async (name: string) => {
    const { graph } = await readModel(join(at(name), 'last/model.onnx'));
    return [...graph.values.values()].flatMap(({ constant }) =>
      constant?.shape.length === 4 ? Array.from(constant.data as Float32Array, (w) => w >= 0) : [],
    );
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bnn-start-'));
    await run('plain');
  });
  afterAll(() => rm(folder, { recursive: true }));

  // 2 % are four standard errors of statistics that training without learning makes anew.
  const CLOSE = 0.02;

  it.each(['none', ...namesOf(WEIGHT_TRANSFORMS)])(
    'without learning, --init changes nothing: a plain network with %s',
    async (transform) => {
      const before = (await readHistory(join(at('plain'), 'history.jsonl'))).at(-1)!;
      const after = await run(`plain-${transform}`, startOf('plain'), { weightTransform: transform });
      expect(await signsOf(`plain-${transform}`)).toEqual(await signsOf('plain'));
      expect(Math.abs(after.testTop1 - before.testTop1)).toBeLessThan(CLOSE);
    },
  );

  it.each([
    ['standardize', {}],
    ['recu', { emaDecay: 0.9 }],
    ['biper', {}],
    ['adaste', {}],
    ['biper', { relaxShare: 1 }],
  ] as const)('nor does it between two stages with %s, %j', async (weightTransform, first) => {
    const name = `${weightTransform}-${Object.keys(first).join()}`;
    const before = await run(name, { weightTransform, ...first });
    expect(before.testTop1).toBeGreaterThan(0.8);
    const after = await run(`${name}-2`, startOf(name), { weightTransform });
    expect(await signsOf(`${name}-2`)).toEqual(await signsOf(name));
    expect(Math.abs(after.testTop1 - before.testTop1)).toBeLessThan(CLOSE);
    await rm(join(at(name), 'recipe.json'));
    const lone = await run(`${name}-3`, startOf(name), { weightTransform });
    expect(Math.abs(lone.testTop1 - before.testTop1)).toBeLessThan(CLOSE);
  });

  it('accuracy in a relaxed stage is that of the saved network, and a resumed stage ends with the same bits', async () => {
    const recipe = {
      ...SMALL,
      limitTest: 200,
      validation: 200,
      weightTransform: 'biper',
      relaxShare: 1,
      indicators: true,
    };
    const whole = await train(parseRecipe([recipe]), { out: at('whole') });
    const [first] = await readHistory(join(at('whole'), 'history.jsonl'));
    const stop = new AbortController();
    const options = { out: at('parts'), onEpoch: () => stop.abort() };
    expect((await train(parseRecipe([recipe]), { ...options, signal: stop.signal })).interrupted).toBe(true);
    const again = await train(parseRecipe([recipe]), { out: at('parts'), resume: true });
    expect(again.testTop1).toBe(whole.testTop1);
    for (const file of ['model.onnx', 'optimizer.safetensors']) {
      expect(await readFile(join(at('parts'), 'last', file))).toEqual(await readFile(join(at('whole'), 'last', file)));
    }
    const records = await readHistory(join(at('parts'), 'history.jsonl'));
    expect(records[0]!.testTop1).toBe(first!.testTop1);
    expect(records.length).toBe(2);
    // Started again when all is trained, it only measures: the same network gives the same accuracy.
    const measured = await train(parseRecipe([recipe]), { out: at('parts'), resume: true });
    expect(measured.testTop1).toBe(whole.testTop1);
  });

  it('latent weights that are not those of the network are refused', async () => {
    await run('good', { weightTransform: 'biper', limitTrain: 128 });
    await run('other', { weightTransform: 'biper', limitTrain: 128, seed: 2 });
    const foreign = await readFile(join(at('other'), 'last/optimizer.safetensors'));
    await writeFile(join(at('good'), 'last/optimizer.safetensors'), foreign);
    await expect(run('bad', startOf('good'), { weightTransform: 'biper' })).rejects.toMatchObject({ code: 'E_FORMAT' });
  });
});
