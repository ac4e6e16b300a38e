import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePreprocessing, PREPROCESSING_KEY } from '../../src/core/pictures/preprocessing.ts';
import { loadDataset } from '../../src/data/load-dataset.ts';
import { writeModel } from '../../src/onnx/model-io.ts';
import { addBnnFunctions } from '../../src/operators/registry.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { linkSample, SAMPLE, SAMPLE_NOTE } from '../data/imagenet-sample.ts';
import { runCli } from './spawn-cli.ts';

const SLOW = 300_000;
const FEW = 25;
const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];

/** Middle 224×224 of a picture whose shorter side is 256, planar and normalized: sharp and arithmetic alone. */
async function middleOf(path: string): Promise<Float32Array> {
  const { data, info } = await sharp(path, { ignoreIcc: true })
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  expect(Math.min(info.width, info.height)).toBe(256);
  const [left, top] = [info.width, info.height].map((side) => {
    const half = (side - 224) / 2;
    // Halves to the even neighbour.
    return Number.isInteger(half) ? half : 2 * Math.round(half / 2);
  });
  const x = new Float32Array(3 * 224 * 224);
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < 224 * 224; i++) {
      const [row, column] = [top! + Math.floor(i / 224), left! + (i % 224)];
      x[c * 224 * 224 + i] = (data[(row * info.width + column) * 3 + c]! / 255 - MEAN[c]!) / STD[c]!;
    }
  }
  return x;
}

describe.skipIf(SAMPLE.isMissing)(`ResNet-18 on ImageNet pictures${SAMPLE_NOTE}`, { timeout: SLOW }, () => {
  let folder: string;
  let packed: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bnn-imagenet-'));
    const latent = join(folder, 'latent.onnx');
    packed = join(folder, 'packed.onnx');
    const model = buildModel('resnet18', { seed: 1 });
    const { classes } = await loadDataset('imagenet', { dir: SAMPLE.path });
    model.metadata.set(PREPROCESSING_KEY, encodePreprocessing({ dataset: 'imagenet', mean: MEAN, std: STD, classes }));
    addBnnFunctions(model);
    await writeModel(latent, model);
    const exported = await runCli(['export', latent, '-o', packed, '--json']);
    // The first convolution, three shortcuts and the classifier stay in float.
    expect(exported.events()[0]).toMatchObject({ binaryLayers: 16, floatLayers: 5 });
  }, SLOW);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const validate = async (data: string, ...more: string[]) => {
    const args = ['--dataset', 'imagenet', '--data', data, '--ep', 'cpu', '--json', ...more];
    const result = await runCli(['validate', packed, ...args]);
    expect(result.code, result.stderr).toBe(0);
    return { ...result, event: result.events().at(-1)! };
  };

  it('1,000 pictures in one pass; the broken one is named and left out', async () => {
    const data = join(folder, 'all');
    const broken = await linkSample(data);
    const { event, stderr } = await validate(data);
    expect(event).toMatchObject({ event: 'result', images: 999, ep: 'cpu' });
    expect(stderr).toContain(`1 broken pictures are left out: ${broken}`);
    const classes = event['classes'] as { images: number; top1: number | null }[];
    expect(classes.map(({ images }) => images)).toEqual([0, ...new Array<number>(999).fill(1)]);
    expect(event['top1']).toBeCloseTo(classes.reduce((sum, { top1 }) => sum + (top1 ?? 0), 0) / 999, 12);
  });

  it('scores are those of sharp and stock onnxruntime alone', async () => {
    const data = join(folder, 'few');
    await linkSample(data, FEW);
    const session = await ort.InferenceSession.create(packed, { logSeverityLevel: 3 });
    let loss = 0;
    const ranks: number[] = [];
    const names = (await readdir(join(data, 'val'))).sort();
    for (const [label, name] of names.entries()) {
      if (label === 0) continue;
      const [picture = ''] = await readdir(join(data, 'val', name));
      const input = new ort.Tensor('float32', await middleOf(join(data, 'val', name, picture)), [1, 3, 224, 224]);
      const output = await session.run({ [session.inputNames[0]!]: input });
      const row = [...(output[session.outputNames[0]!]!.data as Float32Array)];
      const largest = Math.max(...row);
      loss += largest + Math.log(row.reduce((sum, y) => sum + Math.exp(y - largest), 0)) - row[label]!;
      ranks.push(row.filter((y) => y > row[label]!).length);
    }
    await session.release();
    const { event } = await validate(data, '--ops', 'off');
    expect(event).toMatchObject({
      images: FEW - 1,
      top1: ranks.filter((rank) => rank < 1).length / (FEW - 1),
      top5: ranks.filter((rank) => rank < 5).length / (FEW - 1),
    });
    expect(event['loss']).toBeCloseTo(loss / (FEW - 1), 3);
  });
});
