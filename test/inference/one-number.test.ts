import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/numbers/rng.ts';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { EngineSession } from '../../src/engine/engine-session.ts';
import { loadEngineModule } from '../../src/engine/load-engine-io.ts';
import { guessesOf } from '../../src/engine/picture-input.ts';
import { int } from '../../src/graph/attribute.ts';
import { Graph } from '../../src/graph/graph.ts';
import { Model } from '../../src/graph/model.ts';
import { compareDecisions } from '../../src/inference/compare-forms.ts';
import { compareRows } from '../../src/inference/compare-rows.ts';
import { validateModel } from '../../src/inference/validate.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { writeModel } from '../../src/onnx/model-io.ts';
import { caught } from '../graph/caught.ts';

const COUNT = 20;
/** Pixels in [0, 1], channels first, and labels, in the order of the data set. */
const pictures: { readonly x: Float32Array; readonly label: number }[] = [];
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-one-number-'));
  const rng = new Rng(3);
  for (const [label, name] of ['cat', 'dog'].entries()) {
    await mkdir(join(folder, 'test', name), { recursive: true });
    for (let i = 0; i < COUNT; i++) {
      // Of one colour: framing, which scales pictures, leaves it as it is.
      const color = [0, 1, 2].map(() => rng.below(200) + 40 * label);
      const pixels = Uint8Array.from({ length: 48 }, (_, at) => color[at % 3]!);
      const file = join(folder, 'test', name, `${String(i).padStart(2, '0')}.png`);
      await sharp(pixels, { raw: { width: 4, height: 4, channels: 3 } })
        .png()
        .toFile(file);
      const x = Float32Array.from({ length: 48 }, (_, at) => color[Math.floor(at / 16)]! / 255);
      pictures.push({ x, label });
    }
  }
});
afterAll(() => rm(folder, { recursive: true }));

/** [N, 3, 4, 4] → `outputs` sums of pixels → the operators of `end`. */
function network(end: readonly (readonly [string, object?])[], outputs = 1, seed = 1): Model {
  const graph = new Graph();
  const rng = new Rng(seed);
  const x = graph.addInput('x', { dtype: 'float32', shape: ['N', 3, 4, 4] });
  const flat = graph.addNode('Flatten', [x]).output;
  const w = graph.addConstant(
    'w',
    float32(
      [outputs, 48],
      Float32Array.from({ length: 48 * outputs }, () => rng.normal()),
    ),
  );
  let y = graph.addNode('Gemm', [flat, w], { attributes: { transB: int(1) } }).output;
  for (const [op, attributes = {}] of end) y = graph.addNode(op, [y], { attributes: { ...attributes } }).output;
  y.dtype = 'float32';
  graph.addOutput(y);
  return new Model(graph);
}

async function save(name: string, model: Model): Promise<string> {
  const path = join(folder, `${name}.onnx`);
  await writeModel(path, model);
  return path;
}

/** What stock onnxruntime gives for each picture. */
async function outputsOf(path: string): Promise<number[][]> {
  const session = await ort.InferenceSession.create(path, { logSeverityLevel: 3 });
  const rows: number[][] = [];
  for (const { x } of pictures) {
    const results = await session.run({ x: new ort.Tensor('float32', x, [1, 3, 4, 4]) });
    rows.push([...(results[session.outputNames[0]!]!.data as Float32Array)]);
  }
  await session.release();
  return rows;
}

const validate = (model: string, against?: string) =>
  validateModel({ model, against, dataset: 'image-folder', dir: folder, threads: 1, normalize: 'none', batchSize: 7 });
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));
const coin = (p: number, label: number): number => Math.min(100, -Math.log(label === 1 ? p : 1 - p));

describe('a model of one number', () => {
  it.each<[string, [string, object?][], number, (y: number) => number]>([
    ['a logit', [], 0, sigmoid],
    ['a logit [N]', [['Squeeze']], 0, sigmoid],
    ['Sigmoid', [['Sigmoid']], 0.5, (y) => y],
    ['Sigmoid, then Flatten', [['Sigmoid'], ['Flatten']], 0.5, (y) => y],
    ['HardSigmoid, certain of some', [['HardSigmoid']], 0.5, (y) => y],
    ['Tanh', [['Tanh']], 0, (y) => (1 + y) / 2],
    ['Sign, certain of all', [['Sign']], 0, (y) => (1 + y) / 2],
  ])('%s is judged at its threshold', async (_, end, threshold, probability) => {
    const path = await save('one', network(end));
    const outputs = (await outputsOf(path)).map(([y]) => y!);
    const hits = pictures.map(({ label }, i) => (outputs[i]! > threshold ? 1 : 0) === label);
    const result = await validate(path);
    expect(result.images).toBe(2 * COUNT);
    expect(result).toMatchObject({ top1: mean(hits.map(Number)), top5: null, threshold });
    expect(result.classes.map(({ top1 }) => top1)).toEqual(
      [0, 1].map((c) => mean(hits.slice(c * COUNT, (c + 1) * COUNT).map(Number))),
    );
    expect(result.loss).toBeCloseTo(mean(pictures.map(({ label }, i) => coin(probability(outputs[i]!), label))), 5);
    expect(result.notes).toContain(`one number decides: above ${threshold} is "dog"`);

    // What a page in a browser shows.
    const engine = await EngineSession.create(await loadEngineModule(), await readFile(path));
    for (const [i, { x }] of pictures.entries()) {
      const { data } = engine.run(x, [1, 3, 4, 4]);
      const guesses = guessesOf(data, engine.outputFormOf(data.length), ['cat', 'dog'], 2);
      const dog = probability(outputs[i]!);
      expect(guesses.map(({ name }) => name)).toEqual(outputs[i]! > threshold ? ['dog', 'cat'] : ['cat', 'dog']);
      expect(guesses.find(({ name }) => name === 'dog')?.probability).toBeCloseTo(dog, 5);
    }
    engine.dispose();
  });

  it('agrees with another form as often as both decide alike, whether or not that ends in a sigmoid', async () => {
    const [logit, other] = [await save('logit', network([])), await save('other', network([['Sigmoid']], 1, 2))];
    const [a, b] = [await outputsOf(logit), await outputsOf(other)];
    const result = await validate(logit, other);
    expect(result.agreement).toBe(mean(a.map(([z], i) => Number(z! > 0 === b[i]![0]! > 0.5))));
    expect(result.agreement).toBeLessThan(1);
    expect(result.maxLogitDifference).toBeCloseTo(Math.max(...a.map(([z], i) => Math.abs(sigmoid(z!) - b[i]![0]!))), 5);
    expect(result.other).toMatchObject({ top5: null });

    const same = await validate(logit, await save('same', network([['Sigmoid']])));
    expect(same).toMatchObject({ agreement: 1, imagesBeyondTolerance: 0 });
    expect(same.other?.loss).toBeCloseTo(same.loss, 5);
  });

  it('is compared by its decisions, too', async () => {
    const x = Float32Array.from(pictures.flatMap((picture) => [...picture.x]));
    const models = [network([['Sigmoid']]), network([['Sigmoid']], 1, 2)];
    const [a, b] = [await outputsOf(await save('a', models[0]!)), await outputsOf(await save('b', models[1]!))];
    const { agreement } = await compareDecisions(encodeModel(models[0]!), encodeModel(models[1]!), [
      { x, count: 2 * COUNT },
    ]);
    expect(agreement).toBe(mean(a.map(([p], i) => Number(p! > 0.5 === b[i]![0]! > 0.5))));
    expect(agreement).toBeLessThan(1);
  });

  it('is for two classes', async () => {
    const path = await save('digit', network([['Sigmoid']]));
    await mkdir(join(folder, 'lonely', 'test', 'cat'), { recursive: true });
    await sharp({ create: { width: 4, height: 4, channels: 3, background: 'red' } })
      .png()
      .toFile(join(folder, 'lonely', 'test', 'cat', '1.png'));
    const lonely = validateModel({ model: path, dataset: 'image-folder', dir: join(folder, 'lonely') });
    await expect(lonely).rejects.toMatchObject({
      code: 'E_SHAPE',
      message: expect.stringMatching(/decides between two classes by one number, .* has 1/),
    });
  });
});

describe('a model that ends in softmax', () => {
  it('is judged by the probabilities that it gives', async () => {
    const [path, logits] = [await save('soft', network([['Softmax']], 2)), await save('hard', network([], 2))];
    const rows = await outputsOf(path);
    const result = await validate(path, logits);
    expect(result.loss).toBeCloseTo(mean(pictures.map(({ label }, i) => -Math.log(rows[i]![label]!))), 5);
    expect(result.other?.loss).toBeCloseTo(result.loss, 4);
    expect(result).toMatchObject({ agreement: 1, imagesBeyondTolerance: 0, threshold: null, top5: 1 });
    const logSoftmax = await validate(await save('log', network([['LogSoftmax', { axis: int(1) }]], 2)));
    expect(logSoftmax.loss).toBeCloseTo(result.loss, 5);
  });
});

it('NaN is no class, and another decision than any number', () => {
  for (const scores of [[Number.NaN], [1, Number.NaN, 2]]) {
    const error = caught(() => guessesOf(Float32Array.from(scores), 'logits', ['cat', 'dog', 'bee'], 1));
    expect(error).toMatchObject({ code: 'E_NUMERIC', message: expect.stringContaining('NaN') });
  }
  const of = (...data: number[]) => new Map([['y', float32([data.length, 1], data)]]);
  const rows = compareRows(of(Number.NaN, Number.NaN, 1), of(Number.NaN, 1, 1), 3, {});
  expect(rows.map(({ isOtherDecision }) => isOtherDecision)).toEqual([false, true, false]);
});
