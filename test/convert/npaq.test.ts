import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { convertCheckpoint } from '../../src/convert/checkpoint/convert-checkpoint.ts';
import { parseMapping } from '../../src/convert/checkpoint/mapping.ts';
import { readPytorchCheckpoint } from '../../src/convert/pytorch/read-checkpoint.ts';
import { loadMnist } from '../../src/data/sets/mnist.ts';
import { argMax, createRun } from './run-model.ts';
import { hasShared, sharedPath } from './shared-files.ts';

/** Pictures of 10×10, normalized by mean .1307 and deviation .3081, then their signs. */
const MAPPING = parseMapping(
  JSON.stringify({
    input: [100],
    layers: [
      { op: 'affine', scale: 1 / 0.3081, offset: -0.1307 / 0.3081 },
      { op: 'sign', zero: 'plus' },
      { op: 'linear', weight: 'fc1.weight', bias: 'fc1.bias', binary: true },
      { op: 'batch-norm', prefix: 'bn1' },
      { op: 'hardtanh' },
      { op: 'sign' },
      { op: 'linear', weight: 'fc5.weight', bias: 'fc5.bias', binary: true },
      { op: 'log-softmax' },
    ],
  }),
);

describe.skipIf(!hasShared('foreign'))('PyTorch MLPs for MNIST (skipped without ../shared)', () => {
  const read = (name: string) =>
    convertCheckpoint(readPytorchCheckpoint(readFileSync(sharedPath(`foreign/${name}`)), name), { mapping: MAPPING });

  it('the binary one is packed whole; the plain signs of its activations provably never meet 0', () => {
    const { report } = read('mnist-100-bnn_1blk_100.pt');
    expect(report.layers.map(({ kind }) => kind)).toEqual(['binary', 'binary']);
    expect(report.signs.ternary).toEqual([]);
    expect(report.signs.neverZero).toHaveLength(3);
  });

  it('the sparse one is ternary, stays so whatever is accepted for signs, and keeps its accuracy', async () => {
    const { report, lowered } = read('mnist-100-bnn_1blk_100_sparse=0.05.pt');
    expect(report.layers.map(({ kind }) => kind)).toEqual(['ternary', 'ternary']);
    expect(report.layers[0]!.reason).toContain('10.1 % of them are 0');
    const bytes = readFileSync(sharedPath('foreign/mnist-100-bnn_1blk_100_sparse=0.05.pt'));
    const accepted = convertCheckpoint(readPytorchCheckpoint(bytes), { mapping: MAPPING, signZero: 'plus' });
    expect(accepted.report.layers.map(({ kind }) => kind)).toEqual(['ternary', 'ternary']);

    const { test } = await loadMnist({ limitTest: 2000 });
    if (test.kind !== 'memory') throw new Error('expected pixels');
    const run = await createRun(lowered.model);
    let right = 0;
    for (let i = 0; i < test.count; i++) {
      const image = sharp(test.images.subarray(i * 784, (i + 1) * 784), {
        raw: { width: 28, height: 28, channels: 1 },
      });
      const pixels = await image.resize(10, 10, { kernel: 'linear' }).extractChannel(0).raw().toBuffer();
      const x = Float32Array.from(pixels, (pixel) => pixel / 255);
      if (argMax(await run(x, [1, 100])) === test.labels[i]) right++;
    }
    // 83.3 % of all pictures in another implementation; about half when zeros are taken as +1.
    expect(right / test.count).toBeGreaterThan(0.79);
    expect(right / test.count).toBeLessThan(0.87);
  }, 60_000);
});
