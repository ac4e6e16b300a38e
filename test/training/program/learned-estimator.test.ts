import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadNativeAddon } from '../../../src/backends/native/addon.ts';
import { decodeSafetensors } from '../../../src/core/formats/safetensors.ts';
import { createDsq } from '../../../src/estimators/dsq.ts';
import { readModel } from '../../../src/onnx/model-io.ts';
import { estimatingError } from '../../../src/training/measures/indicators.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import { readHistory } from '../../../src/training/sessions/history-io.ts';
import { train } from '../../../src/training/sessions/trainer.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-learned-'));
});
afterAll(() => rm(folder, { recursive: true }));

it('every layer learns a sharpness of its own, and a resumed run ends as if never stopped', {
  timeout: 120_000,
}, async () => {
  const backend = loadNativeAddon().ok ? 'native' : 'cpu';
  const small = { limitTrain: 96, limitTest: 20, batchSize: 16, epochs: 2, threads: 1, backend };
  const recipe = parseRecipe([{ ...small, estimator: 'dsq-learned' }]);
  const [whole, stopped] = [join(folder, 'whole'), join(folder, 'stopped')];
  await train(recipe, { out: whole });
  const stop = new AbortController();
  const interrupted = await train(recipe, {
    out: stopped,
    signal: stop.signal,
    onStep: ({ epoch, batch }) => {
      if (epoch === 2 && batch === 3) stop.abort();
    },
  });
  expect(interrupted.interrupted).toBe(true);
  await train(recipe, { out: stopped, resume: true });
  for (const name of ['model.onnx', 'optimizer.safetensors']) {
    const [a, b] = [await readFile(join(whole, 'last', name)), await readFile(join(stopped, 'last', name))];
    expect(a.equals(b), name).toBe(true);
  }
  const state = await readFile(join(whole, 'last', 'optimizer.safetensors'));
  const alphas = [...decodeSafetensors(state, whole).tensors]
    .filter(([name]) => name.startsWith('dsq.'))
    .map(([name, { data }]): [string, number] => [name, Number(data[0])]);
  expect(alphas.map(([name]) => name).sort()).toEqual(
    ['activation', 'weight'].flatMap((role) => ['conv2', 'conv3'].map((layer) => `dsq.${role}.${layer}`)),
  );
  const values = alphas.map(([, alpha]) => alpha);
  expect(new Set(values).size).toBe(4);
  // Twelve steps of at most 0.001 away from 0.2.
  for (const alpha of values) expect(Math.abs(alpha - 0.2)).toBeLessThan(0.0121);
  expect(values).not.toContain(Math.fround(0.2));
});

it('the estimating error is that of the sharpness that each layer has learned', { timeout: 120_000 }, async () => {
  const backend = loadNativeAddon().ok ? 'native' : 'cpu';
  const small = { limitTrain: 96, limitTest: 20, batchSize: 16, epochs: 1, threads: 1, backend, indicators: true };
  const out = join(folder, 'error');
  await train(parseRecipe([{ ...small, estimator: 'dsq-learned', lr: 0.01 }]), { out });
  const [record] = await readHistory(join(out, 'history.jsonl'));
  const state = await readFile(join(out, 'last', 'optimizer.safetensors'));
  const { tensors } = decodeSafetensors(state, out);
  const { graph } = await readModel(join(out, 'last', 'model.onnx'));
  for (const { layer, estimatingError: measured } of record!.indicators!.layers) {
    const alpha = Number(tensors.get(`dsq.weight.${layer}`)!.data[0]);
    const weights = graph.values.get(`${layer}.weight`)!.constant!.data as Float32Array;
    const at = (a: number) => estimatingError(weights, createDsq(a).surrogate);
    expect(measured).toBeCloseTo(at(alpha), 6);
    expect(Math.abs(measured - at(0.2))).toBeGreaterThan(1e-3);
  }
});
