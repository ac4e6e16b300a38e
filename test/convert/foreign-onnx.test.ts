import { readdirSync, readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { maxAbsoluteError } from '../../src/core/numbers/tolerance.ts';
import { loadMnist } from '../../src/data/sets/mnist.ts';
import { BnnError } from '../../src/errors.ts';
import { verify } from '../../src/graph/verify.ts';
import { readModel } from '../../src/onnx/model-io.ts';
import { argMax, createRun } from './run-model.ts';
import { hasShared, sharedPath } from './shared-files.ts';

const BATCH = 64;
const GTSRB = 'data/gtsrb-sample/test';

/** Every picture, resized bicubically: f32 NHWC, 0..255. */
async function gtsrbPictures(size: number): Promise<{ readonly pixels: Float32Array; readonly label: number }[]> {
  const root = sharedPath(GTSRB);
  const pictures: Promise<{ pixels: Float32Array; label: number }>[] = [];
  for (const folder of readdirSync(root).sort()) {
    for (const file of readdirSync(`${root}/${folder}`)) {
      const image = sharp(`${root}/${folder}/${file}`)
        .removeAlpha()
        .resize(size, size, { kernel: 'cubic', fit: 'fill' });
      pictures.push(
        image
          .raw()
          .toBuffer()
          .then((raw) => ({ pixels: Float32Array.from(raw), label: Number(folder) })),
      );
    }
  }
  return Promise.all(pictures);
}

describe.skipIf(!hasShared(GTSRB) || !hasShared('foreign'))(
  'Larq networks through tf2onnx (skipped without ../shared)',
  () => {
    it.each([
      { size: 30, binary: 2, weightOnly: 1, accuracy: [0.78, 0.85] },
      { size: 48, binary: 4, weightOnly: 1, accuracy: [0.93, 0.97] },
    ])(
      '$size px: every layer packed, outputs as in the source',
      async ({ size, binary, weightOnly, accuracy }) => {
        const path = sharedPath(`foreign/larq-gtsrb-${size}px.onnx`);
        const { model, lowered, report } = convertOnnx(await readModel(path));
        verify(model);
        verify(lowered.model);
        expect(report.layers.filter(({ kind }) => kind === 'binary')).toHaveLength(binary);
        expect(report.layers.filter(({ kind }) => kind === 'weight-only')).toHaveLength(weightOnly);
        expect(report.layers).toHaveLength(binary + weightOnly);
        const [source, latent, packed] = [
          await createRun(readFileSync(path)),
          await createRun(model),
          await createRun(lowered.model),
        ];
        let right = 0;
        let largest = 0;
        const pictures = await gtsrbPictures(size);
        expect(pictures).toHaveLength(1263);
        for (let begin = 0; begin < pictures.length; begin += BATCH) {
          const batch = pictures.slice(begin, begin + BATCH);
          const shape = [batch.length, size, size, 3];
          const pixels = Float32Array.from(batch.flatMap((picture) => Array.from(picture.pixels)));
          const expected = await source(pixels, shape);
          // The latent form computes the same as the packed one; a few pictures show it.
          const found = [await packed(pixels, shape), ...(begin === 0 ? [await latent(pixels, shape)] : [])];
          for (const y of found) largest = Math.max(largest, maxAbsoluteError(y, expected));
          for (const [i, { label }] of batch.entries()) {
            const guess = argMax(expected.subarray(i * 43, (i + 1) * 43));
            for (const y of found) expect(argMax(y.subarray(i * 43, (i + 1) * 43))).toBe(guess);
            if (guess === label) right++;
          }
        }
        expect(largest).toBeLessThanOrEqual(1e-4);
        // The whole test set gives 81.54 and 95.29 %; this is a tenth of it.
        const top1 = right / pictures.length;
        expect(top1).toBeGreaterThan(accuracy[0]!);
        expect(top1).toBeLessThan(accuracy[1]!);
      },
      120_000,
    );
  },
);

describe.skipIf(!hasShared('foreign'))('QONNX and FINN files (skipped without ../shared)', () => {
  it('TFC 1W1A: all layers packed, the published accuracy on MNIST', async () => {
    const { model, lowered, report } = convertOnnx(await readModel(sharedPath('foreign/brevitas-tfc-1w1a-qonnx.onnx')));
    expect(report.layers.map(({ kind }) => kind)).toEqual(['binary', 'binary', 'binary', 'binary']);
    const { test } = await loadMnist({});
    if (test.kind !== 'memory') throw new Error('expected pixels');
    const [latent, packed] = [await createRun(model), await createRun(lowered.model)];
    let right = 0;
    let different = 0;
    for (let i = 0; i < test.count; i++) {
      const x = Float32Array.from(test.images.subarray(i * 784, (i + 1) * 784), (pixel) => pixel / 255);
      const guess = argMax(await latent(x, [1, 1, 28, 28]));
      if (guess === test.labels[i]) right++;
      if (argMax(await packed(x, [1, 1, 28, 28])) !== guess) different++;
    }
    expect(different).toBe(0);
    expect(Math.abs(right / test.count - 0.9296)).toBeLessThanOrEqual(0.001);
  }, 120_000);

  it('one dense layer equals its evaluation by hand', async () => {
    const { lowered, report } = convertOnnx(await readModel(sharedPath('foreign/qonnx-one-layer.onnx')));
    expect(report.layers.map(({ kind }) => kind)).toEqual(['binary']);
    const run = await createRun(lowered.model);
    // The bias fits 4 signed bits, so that Quant leaves it as it is.
    const weights = [
      [-1, 1, -1],
      [-1, -1, 1],
      [-1, -1, -1],
      [1, -1, -1],
    ].map((row, o) => ({ row, bias: [2, 2, -1, -4][o]! }));
    for (const x of [
      [0, 0, 0],
      [-1, 1, -1],
      [1, -1, 1],
      [0.5, -0.25, -3],
      [-2, 5, 0],
      [-0.1, -0.1, 0.1],
    ]) {
      const signs = x.map((v) => (v >= 0 ? 1 : -1));
      const expected = weights.map(({ row, bias }) => {
        const sum = row.reduce((total, w, k) => total + w * signs[k]!, bias);
        return sum >= 0 ? 1 : -1;
      });
      expect(Array.from(await run(Float32Array.from(x), [1, 3]))).toEqual(expected);
    }
  });

  it('names the operator, the domain and what would be needed when it refuses', async () => {
    const model = await readModel(sharedPath('foreign/finn-multithreshold.onnx'));
    const error = (() => {
      try {
        convertOnnx(model);
      } catch (caught) {
        return caught;
      }
      return undefined;
    })();
    expect(error).toBeInstanceOf(BnnError);
    expect((error as BnnError).code).toBe('E_UNSUPPORTED');
    expect((error as BnnError).message).toContain('MultiThreshold');
    expect((error as BnnError).message).toContain('finn.custom_op.general');
    expect((error as BnnError).at).toContain('MultiThreshold_0');
    expect((error as BnnError).hint).toContain('needed:');
  });
});
