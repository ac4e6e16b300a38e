/** What is fuzzed: valid files of a kind, and how the product reads one. */

import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { pack } from 'tar-stream';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { convertCheckpoint } from '../../src/convert/checkpoint/convert-checkpoint.ts';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { readKerasCheckpoint } from '../../src/convert/keras/keras-checkpoint.ts';
import { readPytorchCheckpoint } from '../../src/convert/pytorch/read-checkpoint.ts';
import { decodeSafetensors, encodeSafetensors } from '../../src/core/formats/safetensors.ts';
import { type Framing, framePicture } from '../../src/core/pictures/frame-picture.ts';
import { pictureFrame } from '../../src/core/pictures/preprocessing.ts';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { pythonLayout } from '../../src/data/formats/cifar-layouts.ts';
import { decodeIdx } from '../../src/data/formats/idx.ts';
import { loadDataset } from '../../src/data/load-dataset.ts';
import { decodeImage } from '../../src/data/pictures/decode-image.ts';
import { EngineSession } from '../../src/engine/engine-session.ts';
import { loadEngine } from '../../src/engine/load-engine-io.ts';
import { BnnError } from '../../src/errors.ts';
import { int, ints } from '../../src/graph/attribute.ts';
import { printModel } from '../../src/graph/print.ts';
import { openSession } from '../../src/inference/open-session.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { summarizeModel } from '../../src/tasks/model-summary.ts';
import { parseRecipe } from '../../src/training/recipes/parse-recipe.ts';
import { loadCheckpoint, saveCheckpoint } from '../../src/training/sessions/checkpoint-io.ts';
import type { TrainingState } from '../../src/training/sessions/training-state.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { Source } from '../convert/build.ts';
import { h5File, missingH5 } from '../convert/h5-files.ts';
import { call, dict, global, list, pickle, Raw, tensorItem, torchLegacy, torchZip } from '../convert/torch-files.ts';
import { missingOps } from '../inference/native-parts.ts';
import { stemModel } from '../inference/stem-models.ts';
import { convModel, functionModel } from '../onnx/sample-models.ts';

export interface Target {
  /** They are read without an error, or the target shows nothing. */
  readonly seeds: readonly Uint8Array[];
  /** Reads one file; `folder` is for what must lie on a disk. */
  read(bytes: Uint8Array, folder: string): unknown;
}

const STATE: TrainingState = {
  epoch: 1,
  batch: 2,
  step: 10,
  seconds: 1,
  partial: { loss: 1, correct: 2, images: 3, seconds: 4, waitMs: 5 },
  best: { epoch: 1, top1: 0.5 },
  data: 'x',
};

const text = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const small = { classes: 3, channels: 1, imageSize: 12, seed: 1 };
const smallNet = (): ReturnType<typeof buildModel> => buildModel('binarynet-mini', small);
const middle = (width: number, height: number): Framing => framePicture(width, height, pictureFrame(8, 8, 'crop'));

/** A chain of what exporters write around a binary layer. */
function foreignModel(): Uint8Array {
  const s = new Source([2, 4, 6, 6]);
  const half = s.op('Pad', [s.op('Sign', [s.x]), s.ints([0, 0, 1, 1, 0, 0, 1, 1])]);
  const weights = s.op('Sign', [s.c(s.normals([4, 4, 3, 3]))]);
  const conv = s.op('Conv', [half, weights], { strides: ints([1, 1]), group: int(1) });
  const scaled = s.op('Mul', [conv, s.op('Sqrt', [s.c(float32([4, 1, 1], [1, 4, 9, 16]))])]);
  const flat = s.op('Reshape', [s.op('Relu', [scaled]), s.ints([0, -1])]);
  return encodeModel(s.finish(s.op('MatMul', [flat, s.c(s.normals([144, 3]))])));
}

/** Runs what may refuse its input by a named error. */
function refusing(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof BnnError)) throw error;
  }
}

/** Every stage that opens a foreign file; what one refuses does not keep the next from trying. */
function readOnnx(bytes: Uint8Array): void {
  const open = (): ReturnType<typeof decodeModel> => decodeModel(bytes);
  open();
  for (const stage of [
    () => summarizeModel(open()),
    () => printModel(open(), { data: 'summary' }),
    () => encodeModel(lowerToPacked(open()).model),
    () => encodeModel(convertOnnx(open()).lowered.model),
  ]) {
    refusing(stage);
  }
}

async function shard(): Promise<Uint8Array> {
  const picture = await sharp(Buffer.alloc(3 * 100, 90), { raw: { width: 10, height: 10, channels: 3 } })
    .png()
    .toBuffer();
  const tar = pack();
  for (const key of ['a', 'b', `${'long/'.repeat(40)}c`]) {
    tar.entry({ name: `${key}.png` }, picture);
    tar.entry({ name: `${key}.cls` }, '1');
  }
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function pictures(): Promise<Uint8Array[]> {
  const raw = { width: 12, height: 10, channels: 3 } as const;
  const image = (): ReturnType<typeof sharp> => sharp(Buffer.alloc(360, 200), { raw });
  return Promise.all([
    image().jpeg().toBuffer(),
    image().jpeg({ progressive: true }).toBuffer(),
    image().png().toBuffer(),
    image().png({ progressive: true, palette: true, colours: 2 }).toBuffer(),
    image().webp().toBuffer(),
  ]);
}

/** Two pictures of CIFAR-10 as Python 2 pickled them: the array by `_reconstruct` and `__setstate__`. */
function cifarPickle(): Uint8Array {
  const array = call(global('numpy.core.multiarray', '_reconstruct'), [global('numpy', 'ndarray'), [0], 'b']);
  const dtype = call(global('numpy', 'dtype'), ['u1', 0, 1]);
  const pixels = new Raw([0x54, 0, 0x18, 0, 0, ...new Array<number>(2 * 3072).fill(9)]);
  const state = new Raw([...array.bytes, ...pickle([1, [2, 3072], dtype, false, pixels]).slice(2, -1), 0x62]);
  return Uint8Array.from(pickle(dict({ data: state, labels: list([0, 1]), batch_label: 'one' })));
}

const cifar = pythonLayout(
  { title: 'CIFAR-10', classCount: 10, train: [{ name: 'a', images: 2 }], test: [], folder: '', archive: '' },
  'labels',
);

const OPENERS: Readonly<Record<string, () => Target | Promise<Target>>> = {
  onnx: () => ({
    seeds: [
      encodeModel(convModel()),
      encodeModel(functionModel()),
      foreignModel(),
      encodeModel(smallNet()),
      encodeModel(lowerToPacked(smallNet()).model),
    ],
    read: readOnnx,
  }),
  torch: () => ({
    seeds: [
      torchZip({ deflate: false }),
      torchZip({ deflate: true }),
      torchLegacy(),
      torchZip({ deflate: false, root: dict({ 'fc.weight': tensorItem('0', 8, [2, 3], [3, 1]) }) }),
    ],
    read: (bytes) => {
      const checkpoint = readPytorchCheckpoint(bytes, 'x.pt');
      refusing(() => convertCheckpoint(checkpoint, { signZero: 'exact', network: 'resnet20', at: 'x.pt' }));
    },
  }),
  keras: async () => ({
    seeds: [
      await h5File({ 'model_weights/a/kernel:0': float32([3, 2], [1, 2, 3, 4, 5, 6]) }),
      await h5File({ 'a/kernel:0': float32([4, 4], new Float32Array(16)) }, true),
    ],
    read: (bytes) => readKerasCheckpoint(bytes, 'x.h5'),
  }),
  safetensors: () => ({
    seeds: [encodeSafetensors([['a', float32([2, 2], [1, 2, 3, 4])]], { a: 'b' })],
    read: (bytes) => decodeSafetensors(bytes, 'x.safetensors'),
  }),
  idx: () => {
    const images = Uint8Array.from([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3, ...new Array<number>(18).fill(7)]);
    return { seeds: [images, gzipSync(images)], read: (bytes) => decodeIdx(bytes, 3, 'x') };
  },
  'cifar pickle': () => ({ seeds: [cifarPickle()], read: (bytes) => cifar.decode(bytes, 'data_batch_1') }),
  shard: async () => ({
    seeds: [await shard()],
    read: async (bytes, folder) => {
      await Promise.all(['train-0.tar', 'val-0.tar'].map((name) => writeFile(join(folder, name), bytes)));
      return loadDataset('webdataset', { dir: folder, imageSize: 8 });
    },
  }),
  picture: async () => ({ seeds: await pictures(), read: (bytes) => decodeImage(bytes, 'x.png', middle) }),
  recipe: () => ({
    seeds: [text({ model: 'resnet20', dataset: 'cifar10', epochs: 3, lr: 0.1, estimator: 'reste' })],
    read: (bytes) => {
      const input: unknown = (() => {
        try {
          return JSON.parse(Buffer.from(bytes).toString());
        } catch {
          return {};
        }
      })();
      return parseRecipe([input as Record<string, unknown>], 'recipe.json');
    },
  }),
  checkpoint: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bnn-fuzz-run-'));
    const run = join(folder, 'last');
    await saveCheckpoint(run, { model: smallNet(), optimizer: new Map(), state: STATE });
    const names = ['state.json', 'model.onnx', 'optimizer.safetensors'];
    const files = await Promise.all(names.map((name) => readFile(join(run, name))));
    return {
      // The first byte says which file of the checkpoint it is; the others stay as they are.
      seeds: files.map((file, i) => Buffer.concat([Buffer.of(i), file])),
      read: async (bytes) => {
        const index = (bytes[0] ?? 0) % names.length;
        for (const [i, name] of names.entries()) {
          await writeFile(join(run, name), i === index ? bytes.subarray(1) : (files[i] ?? ''));
        }
        return loadCheckpoint(run);
      },
    };
  },
  packed: () => ({
    seeds: [encodeModel(lowerToPacked(smallNet()).model)],
    read: async (bytes) => {
      const session = await openSession(bytes, { ops: 'on', threads: 1 });
      try {
        return await session.run(new Float32Array(2 * 144).fill(0.3), [2, 1, 12, 12]);
      } finally {
        await session.dispose();
      }
    },
  }),
  'packed-fast-stem': () => ({
    seeds: [encodeModel(stem())],
    read: async (bytes) => {
      const session = await openSession(bytes, { fastStem: true, threads: 1 });
      try {
        return await session.run(new Float32Array(2 * 3 * 300).fill(0.3), [2, 3, 15, 20]);
      } finally {
        await session.dispose();
      }
    },
  }),
  engine: () => openEngine({ threads: 1 }),
  'engine-threads': () => openEngine({ threads: 3 }),
  'engine-fast-stem': () => openEngine({ threads: 1, fastStem: true, seeds: [encodeModel(stem())] }),
};

const stem = () => stemModel({ order: ['Relu', 'MaxPool', 'BatchNormalization'], size: [15, 20] });

interface EngineSeeds {
  readonly threads: number;
  readonly fastStem?: boolean;
  readonly seeds?: readonly Uint8Array[];
}

function openEngine({ threads, fastStem, seeds }: EngineSeeds): Target {
  return {
    seeds: seeds ?? [
      encodeModel(lowerToPacked(smallNet()).model),
      encodeModel(convertOnnx(decodeModel(foreignModel())).lowered.model),
      encodeModel(lowerToPacked(buildModel('resnet20-react', { ...small, imageSize: 16 })).model),
    ],
    read: async (bytes) => {
      const { module, team } = await loadEngine(threads);
      const session = await EngineSession.create(module, bytes, { team, fastStem });
      try {
        const feeds = session.inputs.map(({ name, shape }) => {
          const sizes = shape.map((size) => (typeof size === 'number' ? size : 2));
          const count = sizes.reduce((a, b) => a * b, 1);
          if (count > 1e6) throw new BnnError('E_SHAPE', 'too large to be worth a run');
          return [name, { data: new Float32Array(count).fill(0.3), shape: sizes }];
        });
        return session.runAll(Object.fromEntries(feeds) as Parameters<EngineSession['runAll']>[0]);
      } finally {
        await session.dispose();
      }
    },
  };
}

const MISSING: Readonly<Record<string, string | undefined>> = {
  keras: missingH5,
  packed: missingOps,
  'packed-fast-stem': missingOps,
};

export const TARGETS: readonly string[] = Object.keys(OPENERS);

/** Why a target cannot be run here. */
export function missingTarget(name: string): string | undefined {
  return MISSING[name];
}

export async function openTarget(name: string): Promise<Target> {
  const open = OPENERS[name];
  if (open === undefined) throw new Error(`no target "${name}", expected one of ${TARGETS.join(', ')}`);
  return open();
}
