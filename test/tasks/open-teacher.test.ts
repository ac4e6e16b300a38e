import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Rng } from '../../src/core/numbers/rng.ts';
import { encodePreprocessing, PREPROCESSING_KEY, type Preprocessing } from '../../src/core/pictures/preprocessing.ts';
import { writeModel } from '../../src/onnx/model-io.ts';
import { openTeacher } from '../../src/tasks/open-teacher.ts';
import type { ShownPictures } from '../../src/training/sessions/train-options.ts';
import { buildModel } from '../../src/zoo/zoo.ts';

const CLASSES = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
const SHOWN = { height: 28, width: 28, channels: 3, classes: CLASSES };

it('a teacher of a fixed batch says of any number of pictures what it says of each', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bnn-open-teacher-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const model = buildModel('binarynet-mini-fp', { seed: 5, imageSize: 28, channels: 3 });
  const [free, fixed] = [join(folder, 'free.onnx'), join(folder, 'fixed.onnx')];
  await writeModel(free, model);
  model.graph.inputs[0]!.shape = [3, 3, 28, 28];
  model.graph.outputs[0]!.shape = [3, 10];
  await writeModel(fixed, model);

  const size = { ...SHOWN, mean: [0, 0, 0], std: [1, 1, 1] };
  const rng = new Rng(1);
  const images = Float32Array.from({ length: 7 * 28 * 28 * 3 }, () => rng.normal());
  const one = await openTeacher({ teacher: free, threads: 1 });
  const expected: number[] = [];
  for (let n = 0; n < 7; n++) {
    const picture = images.slice(n * 28 * 28 * 3, (n + 1) * 28 * 28 * 3);
    expected.push(...(await one.teacher!(picture, 1, size)));
  }
  await one.close();
  const all = await openTeacher({ teacher: fixed, threads: 1 });
  const found = await all.teacher!(images, 7, size);
  await all.close();
  expect(found).toHaveLength(70);
  for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i]!, 4);
});

describe('a file that says what its pictures are', () => {
  const [mean, std] = [
    [0.4, 0.5, 0.6],
    [0.2, 0.25, 0.3],
  ];
  const rng = new Rng(2);
  const pixels = Float32Array.from({ length: 3 * 28 * 28 * 3 }, () => rng.below(256) / 255);
  /** [picture][pixel][channel], as the library's batches are. */
  const normalized = (means: readonly number[], stds: readonly number[]): Float32Array =>
    pixels.map((value, i) => (value - means[i % 3]!) / stds[i % 3]!);

  async function fileOf(name: string, entry?: Partial<Preprocessing>): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'bnn-open-teacher-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const model = buildModel('binarynet-mini-fp', { seed: 5, imageSize: 28, channels: 3 });
    if (entry !== undefined) {
      const all = { dataset: 'x', mean, std, classes: CLASSES, ...entry } as Preprocessing;
      model.metadata.set(PREPROCESSING_KEY, encodePreprocessing(all));
    }
    const file = join(folder, `${name}.onnx`);
    await writeModel(file, model);
    return file;
  }
  async function ask(file: string, images: Float32Array, shown: Partial<ShownPictures>): Promise<Float32Array> {
    const { teacher, close } = await openTeacher({ teacher: file, threads: 1 });
    try {
      return await teacher!(images, 3, { ...SHOWN, mean: [], std: [], ...shown });
    } finally {
      await close();
    }
  }

  it('sees them normalized as it says, however the network that learns sees them', async () => {
    const says = await fileOf('says', {});
    const images = normalized(mean, std);
    const copy = images.slice();
    const expected = await ask(says, images, { mean, std });
    const others = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
    const found = await ask(says, normalized(others.mean, others.std), others);
    for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i]!, 3);
    expect(images).toEqual(copy);
    // Of pictures that are its own, the bits are those of a file that does not say, which sees whatever it is shown.
    const silent = await fileOf('silent');
    expect(await ask(silent, images, { mean, std })).toEqual(expected);
    expect(await ask(silent, images, others)).toEqual(expected);
    expect(await ask(silent, normalized(others.mean, others.std), others)).not.toEqual(expected);
  });

  it('must have their classes in the same order', async () => {
    const file = await fileOf('order', { classes: [...CLASSES].reverse() });
    await expect(ask(file, normalized(mean, std), { mean, std })).rejects.toMatchObject({
      code: 'E_SHAPE',
      message: expect.stringMatching(/another order: class 0 is "nine" in the teacher, "zero" in the data/),
    });
    // Other names for them are no order.
    const named = await fileOf('named', { classes: CLASSES.map((name) => name.toUpperCase()) });
    expect(await ask(named, normalized(mean, std), { mean, std })).toHaveLength(30);
  });
});
