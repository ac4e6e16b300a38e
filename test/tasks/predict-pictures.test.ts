import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import {
  encodePreprocessing,
  FITS,
  type Fit,
  type PictureFrame,
  PREPROCESSING_KEY,
  pictureFrame,
} from '../../src/core/pictures/preprocessing.ts';
import { classify } from '../../src/inference/classify.ts';
import { type OpenedSession, openSession } from '../../src/inference/open-session.ts';
import { writeModel } from '../../src/onnx/model-io.ts';
import { type PredictOptions, predictPictures } from '../../src/tasks/predict-pictures.ts';
import { validateModel } from '../../src/tasks/validate-model.ts';
import { buildModel } from '../../src/zoo/zoo.ts';

const CLASSES = ['a', 'b', 'c', 'd'];
const SIZE = 16;

/** Pictures of many sizes that become larger and smaller, tall and wide; the class is the folder. */
async function writePhotos(dir: string): Promise<string[]> {
  const files: string[] = [];
  for (const [c, name] of CLASSES.entries()) {
    await mkdir(join(dir, 'test', name), { recursive: true });
    for (let i = 0; i < 12; i++) {
      const [width, height] = [5 + ((i * 17 + c * 7) % 60), 6 + ((i * 29 + c * 13) % 50)];
      // A colour of its own, with stripes.
      const color = [0, 1, 2].map((k) => Math.imul(1 + k + 3 * i + 40 * c, 0x9e3779b1) >>> 24);
      const pixels = Uint8Array.from({ length: width * height * 3 }, (_, p) => {
        const [x, y] = [Math.floor(p / 3) % width, Math.floor(p / 3 / width)];
        return (color[p % 3] ?? 0) / ((c % 2 === 0 ? x : y) % (i + 2) < (i + 2) / 2 ? 1 : 3);
      });
      const file = join(dir, 'test', name, `${String(i).padStart(2, '0')}.${i % 2 === 0 ? 'jpg' : 'png'}`);
      await sharp(pixels, { raw: { width, height, channels: 3 } }).toFile(file);
      files.push(file);
    }
  }
  return files;
}

async function writeNetwork(
  path: string,
  frame: PictureFrame | null,
  form: 'packed' | 'latent' = 'packed',
): Promise<void> {
  const latent = buildModel('binarynet-mini', { classes: 4, channels: 3, imageSize: SIZE, seed: 8 });
  const model = form === 'packed' ? lowerToPacked(latent).model : latent;
  if (frame !== null) {
    const picture = { ...frame, filter: 'triangle', channelOrder: 'RGB', layout: 'NCHW' } as const;
    const entry = { dataset: 'image-folder', picture, mean: [0.4, 0.5, 0.6], std: [0.2, 0.25, 0.3], classes: CLASSES };
    model.metadata.set(PREPROCESSING_KEY, encodePreprocessing(entry));
  }
  await writeModel(path, model);
}

let dir: string;
let files: string[];
const modelOf = (fit: Fit) => join(dir, `${fit}.onnx`);

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'bnn-predict-'));
  files = await writePhotos(dir);
  for (const fit of FITS) await writeNetwork(modelOf(fit), pictureFrame(SIZE, SIZE, fit));
});

afterAll(() => rm(dir, { recursive: true, force: true }));

async function predict(options: Omit<PredictOptions, 'onPicture' | 'onBroken'>) {
  const found = new Map<string, readonly { index: number; name: string; probability: number }[]>();
  const broken: string[] = [];
  const notes: string[] = [];
  const result = await predictPictures({
    ...options,
    onPicture: ({ picture, guesses }) => found.set(picture, guesses),
    onBroken: ({ picture, code }) => broken.push(`${code} ${picture}`),
    onNote: (note) => notes.push(note),
  });
  return { found, broken, notes, result };
}

describe.each(FITS)('%s', (fit) => {
  it('the decisions of validation, picture by picture', async () => {
    const { found } = await predict({ model: modelOf(fit), pictures: [join(dir, 'test')] });
    expect([...found.keys()]).toEqual(files);
    // Validation of one picture at a time tells whether it was right.
    for (const file of files.filter((_, i) => i % 5 === 0)) {
      const alone = join(dir, 'alone', fit, file.slice(dir.length + 1).replaceAll('/', '-'));
      for (const name of CLASSES) await mkdir(join(alone, 'test', name), { recursive: true });
      const own = file.split('/').at(-2)!;
      await copyFile(file, join(alone, 'test', own, file.split('/').at(-1)!));
      // A class needs a picture: those of the others are the same file, under a wrong name.
      for (const name of CLASSES.filter((it) => it !== own)) await copyFile(file, join(alone, 'test', name, 'x.png'));
      const { classes } = await validateModel({ model: modelOf(fit), dataset: 'image-folder', dir: alone });
      const decided = classes.filter(({ top1 }) => top1 === 1).map(({ name }) => name);
      expect([found.get(file)![0]!.name]).toEqual(decided);
    }
  });

  it('adds up to the accuracy of validation', async () => {
    const { found } = await predict({ model: modelOf(fit), pictures: [join(dir, 'test')] });
    const right = files.filter((file) => found.get(file)![0]!.name === file.split('/').at(-2)).length;
    const { top1, images } = await validateModel({ model: modelOf(fit), dataset: 'image-folder', dir });
    expect(Math.round(top1 * images)).toBe(right);
    expect(images).toBe(files.length);
    expect(new Set([...found.values()].map(([best]) => best!.name)).size).toBeGreaterThan(1);
  });

  it('classify() says the same of a path and of its bytes', async () => {
    const { found } = await predict({ model: modelOf(fit), pictures: files.slice(0, 3) });
    const session = await openSession(modelOf(fit));
    const fromBytes = await openSession(new Uint8Array(await readFile(modelOf(fit))));
    try {
      for (const file of files.slice(0, 3)) {
        const guesses = await classify(session, file, { top: 4 });
        expect(guesses).toEqual(found.get(file));
        expect(await classify(fromBytes, new Uint8Array(await readFile(file)))).toEqual(guesses);
        expect(guesses.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 6);
      }
    } finally {
      for (const it of [session, fromBytes] satisfies OpenedSession[]) await it.dispose();
    }
  });
});

it('the fits differ', async () => {
  const [crop, squash] = await Promise.all(
    (['crop', 'squash'] as const).map((fit) => predict({ model: modelOf(fit), pictures: [join(dir, 'test')] })),
  );
  expect([...crop!.found.values()]).not.toEqual([...squash!.found.values()]);
  const told = await predict({ model: modelOf('crop'), pictures: [join(dir, 'test')], fit: 'squash' });
  expect(told.found).toEqual(squash!.found);
});

it('goes on after pictures that cannot be read, and names them', async () => {
  const bad = join(dir, 'bad.jpg');
  const cut = join(dir, 'cut.jpg');
  await writeFile(bad, 'no picture');
  await writeFile(cut, (await readFile(files[0]!)).subarray(0, 100));
  const pictures = [bad, files[0]!, join(dir, 'absent.png'), cut, files[1]!];
  const { found, broken, result } = await predict({ model: modelOf('pad'), pictures });
  expect([...found.keys()]).toEqual([files[0], files[1]]);
  expect(broken).toEqual([`E_FORMAT ${bad}`, `E_NOT_FOUND ${join(dir, 'absent.png')}`, `E_FORMAT ${cut}`]);
  expect(result).toMatchObject({ pictures: 2, broken: 3 });
});

it('says which options tell what the file does not', async () => {
  const model = join(dir, 'silent.onnx');
  await writeNetwork(model, null);
  const pictures = files.slice(0, 4);
  await expect(predict({ model, pictures })).rejects.toMatchObject({
    code: 'E_UNSUPPORTED',
    hint: expect.stringMatching(/--normalize.*--fit/),
  });
  const { found, notes } = await predict({
    model,
    pictures,
    normalize: { mean: [0.4, 0.5, 0.6], std: [0.2, 0.25, 0.3] },
  });
  const named = await predict({ model: modelOf('crop'), pictures });
  expect(notes).toEqual([expect.stringContaining('--classes')]);
  for (const file of pictures) {
    const expected = named.found.get(file)!.map((guess) => ({ ...guess, name: `class ${guess.index}` }));
    expect(found.get(file)).toEqual(expected);
  }
  await expect(predict({ model, pictures, normalize: 'none', classes: ['one'] })).rejects.toMatchObject({
    code: 'E_SHAPE',
  });
});

it('a latent file decides as its packed form', async () => {
  const model = join(dir, 'latent.onnx');
  await writeNetwork(model, pictureFrame(SIZE, SIZE, 'crop'), 'latent');
  const { addBnnFunctions } = await import('../../src/operators/registry.ts');
  const { readModel } = await import('../../src/onnx/model-io.ts');
  const latent = await readModel(model);
  addBnnFunctions(latent);
  await writeModel(model, latent);
  const best = async (path: string) =>
    [...(await predict({ model: path, pictures: [join(dir, 'test')] })).found.values()].map(([first]) => first!.name);
  expect(await best(model)).toEqual(await best(modelOf('crop')));
});

it('refuses folders without pictures, and models without pictures', async () => {
  const empty = join(dir, 'empty');
  await mkdir(empty, { recursive: true });
  await expect(predict({ model: modelOf('crop'), pictures: [empty] })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
});
