import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { encodePreprocessing, PREPROCESSING_KEY } from '../../src/core/pictures/preprocessing.ts';
import type { Model } from '../../src/graph/model.ts';
import { validateModel } from '../../src/inference/validate.ts';
import { writeModel } from '../../src/onnx/model-io.ts';
import { addBnnFunctions } from '../../src/operators/registry.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { readMnist } from '../data/mnist-files.ts';
import { writePicture } from '../data/pictures.ts';

const IMAGES = 250;
const DIGITS = [...'0123456789'];
const STATISTICS = { mean: [0.2], std: [0.4] };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-validate-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function save(name: string, model: Model, withPreprocessing = true, said: object = {}): Promise<string> {
  if (withPreprocessing) {
    const text = encodePreprocessing({ dataset: 'mnist', ...STATISTICS, classes: DIGITS, ...said });
    model.metadata.set(PREPROCESSING_KEY, text);
  }
  addBnnFunctions(model);
  const path = join(folder, `${name}.onnx`);
  await writeModel(path, model);
  return path;
}

/** Logits of the first test images, from the raw IDX files, with onnxruntime alone. */
async function referenceLogits(path: string): Promise<{ rows: number[][]; labels: number[] }> {
  const pixels = (await readMnist('t10k-images-idx3-ubyte')).subarray(16);
  const labels = [...(await readMnist('t10k-labels-idx1-ubyte')).subarray(8, 8 + IMAGES)];
  const session = await ort.InferenceSession.create(path, { logSeverityLevel: 3 });
  const rows: number[][] = [];
  for (let i = 0; i < IMAGES; i++) {
    const x = Float32Array.from(pixels.subarray(i * 784, (i + 1) * 784), (p) => (p / 255 - 0.2) / 0.4);
    const { logits } = await session.run({ input: new ort.Tensor('float32', x, [1, 1, 28, 28]) });
    rows.push([...(logits!.data as Float32Array)]);
  }
  await session.release();
  return { rows, labels };
}

const best = (row: readonly number[]): number => row.indexOf(Math.max(...row));

describe('validateModel', () => {
  test('scores are those of the raw files, agreement that of the logits', async () => {
    const model = buildModel('binarynet-mini', { seed: 1 });
    const [path, otherPath] = [await save('a', model), await save('b', buildModel('binarynet-mini', { seed: 2 }))];
    const a = await referenceLogits(path);
    const b = await referenceLogits(otherPath);
    const result = await validateModel({
      model: path,
      against: otherPath,
      dataset: 'mnist',
      limit: IMAGES,
      batchSize: 64,
      threads: 1,
      ops: 'off',
    });
    const share = (hit: (row: number[], i: number) => boolean): number => a.rows.filter(hit).length / IMAGES;
    expect(result.images).toBe(IMAGES);
    expect(result.top1).toBe(share((row, i) => best(row) === a.labels[i]));
    expect(result.top5).toBe(share((row, i) => row.filter((x) => x > row[a.labels[i]!]!).length < 5));
    const losses = a.rows.map((row, i) => Math.log(row.reduce((s, x) => s + Math.exp(x), 0)) - row[a.labels[i]!]!);
    expect(result.loss).toBeCloseTo(losses.reduce((s, x) => s + x, 0) / IMAGES, 5);
    expect(result.agreement).toBe(share((row, i) => best(row) === best(b.rows[i]!)));
    expect(result.other?.top1).toBe(b.rows.filter((row, i) => best(row) === b.labels[i]).length / IMAGES);
    const differences = a.rows.flatMap((row, i) => row.map((x, j) => Math.abs(x - b.rows[i]![j]!)));
    expect(result.maxLogitDifference).toBeCloseTo(Math.max(...differences), 4);
    expect(result).toMatchObject({ ep: 'cpu', ops: 'off', batchSize: 64, normalization: 'model', notes: [] });
    expect(result.latencyMs).toBeGreaterThan(0);
    expect(result.imagesPerSecond).toBeGreaterThan(0);
    expect(result.classes.map(({ images }) => images)).toEqual(
      DIGITS.map((digit) => a.labels.filter((label) => label === Number(digit)).length),
    );
  });

  test('packed and latent form decide alike', async () => {
    const model = buildModel('binarynet-mini', { seed: 3 });
    const latent = await save('latent', model);
    const packed = await save('packed', lowerToPacked(model).model);
    const result = await validateModel({ model: packed, against: latent, dataset: 'mnist', limit: IMAGES });
    expect(result.agreement).toBe(1);
    expect(result.maxLogitDifference).toBeLessThan(1e-4);
  });

  test('the same model on another provider, and the speed at other batch sizes', async () => {
    const model = await save('same', buildModel('binarynet-mini', { seed: 3 }));
    const options = { model, dataset: 'mnist', limit: 20, ops: 'off', threads: 1 } as const;
    const result = await validateModel({ ...options, againstEp: 'cpu', batches: [1, 3] });
    expect(result).toMatchObject({ agreement: 1, maxLogitDifference: 0, ep: 'cpu', againstEp: 'cpu', nodes: null });
    expect(result.batches.map(({ batch }) => batch)).toEqual([1, 3]);
    for (const { batch, latencyMs, imagesPerSecond } of result.batches) {
      expect(latencyMs).toBeGreaterThan(0);
      expect(imagesPerSecond).toBeCloseTo((1000 * batch) / latencyMs, 6);
    }
    const alone = await validateModel(options);
    expect(alone).toMatchObject({ agreement: null, againstEp: null, batches: [] });
  });

  test('a fixed batch size is kept, the last batch filled up', async () => {
    const model = buildModel('binarynet-mini', { seed: 1 });
    const free = await save('free', model);
    const [input, output] = [model.graph.inputs[0]!, model.graph.outputs[0]!];
    input.shape = [32, 1, 28, 28];
    output.shape = [32, 10];
    const options = { dataset: 'mnist', limit: 100, ops: 'off' } as const;
    const fixed = await validateModel({ ...options, model: await save('fixed', model), batchSize: 10 });
    const { top1, loss } = await validateModel({ ...options, model: free });
    expect(fixed).toMatchObject({ images: 100, batchSize: 32, latencyMs: null, top1, other: null });
    expect(fixed.loss).toBeCloseTo(loss, 5);
    expect(fixed.notes).toEqual(['the model takes batches of 32 only']);
  });

  test('without metadata the statistics of the data set are used, and a note says so', async () => {
    const model = await save('bare', buildModel('binarynet-mini', { seed: 1 }), false);
    const options = { model, dataset: 'mnist', limit: 50, ops: 'off' } as const;
    const result = await validateModel(options);
    expect(result).toMatchObject({ normalization: 'dataset', notes: [expect.stringContaining('--normalize')] });
    const asked = await validateModel({ ...options, normalize: 'dataset' });
    expect(asked).toMatchObject({ normalization: 'option', notes: [], loss: result.loss });
  });

  test('wrong size, channels and classes are errors that name both sides', async () => {
    for (const [options, found] of [
      [{ imageSize: 32 }, '1×32×32'],
      [{ channels: 3 }, '3×28×28'],
    ] as const) {
      const model = await save('size', buildModel('binarynet-mini', { seed: 1, ...options }));
      await expect(validateModel({ model, dataset: 'mnist', limit: 10 })).rejects.toMatchObject({
        code: 'E_SHAPE',
        at: model,
        message: expect.stringMatching(new RegExp(`${found}.*1×28×28`)),
      });
    }
    const model = await save('classes', buildModel('binarynet-mini', { seed: 1, classes: 7 }));
    await expect(validateModel({ model, dataset: 'mnist', limit: 10 })).rejects.toMatchObject({
      code: 'E_SHAPE',
      message: expect.stringMatching(/ 7 classes.* 10$/),
    });
  });

  test('another form of a smaller fixed batch gets as many pictures at a time as it takes', async () => {
    const model = buildModel('binarynet-mini', { seed: 1 });
    const free = await save('free', model);
    const [input, output] = [model.graph.inputs[0]!, model.graph.outputs[0]!];
    input.shape = [32, 1, 28, 28];
    output.shape = [32, 10];
    const fixed = await save('fixed', model);
    const { rows, labels } = await referenceLogits(free);
    const result = await validateModel({ model: free, against: fixed, dataset: 'mnist', limit: IMAGES, ops: 'off' });
    expect(result).toMatchObject({ images: IMAGES, batchSize: 100, agreement: 1 });
    expect(result.maxLogitDifference).toBeLessThan(1e-4);
    expect(result.other?.top1).toBe(rows.filter((row, i) => best(row) === labels[i]).length / IMAGES);
  });

  test('classes of other names are said', async () => {
    const data = join(folder, 'tiere');
    for (const name of ['Hund', 'Katze']) await writePicture(join(data, 'test', name, '1.png'), 32, 32);
    const options = { dataset: 'image-folder', dir: data, ops: 'off', threads: 1 } as const;
    const network = buildModel('binarynet-mini', { seed: 1, channels: 3, classes: 2 });
    const said = { dataset: 'image-folder', mean: [0, 0, 0], std: [1, 1, 1] };
    const notes = async (classes: readonly string[]): Promise<readonly string[]> =>
      (await validateModel({ ...options, model: await save('tiere', network, true, { ...said, classes }) })).notes;
    const [note, ...more] = await notes(['Hund', 'cat']);
    expect(note).toMatch(/class 1 is "cat" in the model, "Katze" in image-folder at .*tiere$/);
    expect(more).toEqual([]);
    expect(await notes(['Hund', 'Katze'])).toEqual([]);
    await expect(notes(['Katze', 'Hund'])).rejects.toMatchObject({ code: 'E_SHAPE' });
  });

  test('the same classes in another order are an error', async () => {
    const model = buildModel('binarynet-mini', { seed: 1 });
    const named = (name: string, classes: readonly string[], said: object = {}) =>
      save(name, model, true, { classes, ...said });
    const options = { dataset: 'mnist', limit: 20, ops: 'off', threads: 1 } as const;
    const swapped = await named('swapped', ['1', '0', ...DIGITS.slice(2)]);
    const order = { code: 'E_SHAPE', message: expect.stringMatching(/order: class 0 is "1" in .*, "0" in mnist at /) };
    await expect(validateModel({ ...options, model: swapped })).rejects.toMatchObject({ ...order, at: swapped });
    const digits = await save('digits', model);
    await expect(validateModel({ ...options, model: digits, against: swapped })).rejects.toMatchObject({
      code: 'E_SHAPE',
    });

    const things = ['shirt', 'shoe', 'bag', 'coat', 'hat', 'sock', 'belt', 'scarf', 'glove', 'tie'];
    const wardrobe = await named('wardrobe', things);
    const backwards = await named('backwards', things.toReversed());
    await expect(validateModel({ ...options, model: wardrobe, against: backwards })).rejects.toMatchObject({
      code: 'E_SHAPE',
      message: expect.stringContaining('class 0 is "shirt" in the model, "tie" in the other form'),
    });
    const nameless = await named('nameless', [], { dataset: 'unknown' });
    expect((await validateModel({ ...options, model: nameless })).notes).toEqual([]);
  });

  test('a model that gives NaN is an error', async () => {
    const model = buildModel('binarynet-mini', { seed: 1 });
    const bias = model.graph.values.get('fc.bias')!;
    bias.constant!.data[3] = Number.NaN;
    const path = await save('nan', model);
    await expect(validateModel({ model: path, dataset: 'mnist', limit: 10 })).rejects.toMatchObject({
      code: 'E_NUMERIC',
    });
  });
});
