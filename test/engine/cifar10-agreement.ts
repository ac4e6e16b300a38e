/** Packed networks on the test set of CIFAR-10: our engine in WebAssembly against stock onnxruntime, picture by picture. */

import { readFile } from 'node:fs/promises';
import { PREPROCESSING_KEY, parsePreprocessing } from '../../src/core/pictures/preprocessing.ts';
import { createBatches } from '../../src/data/batches/batches.ts';
import { loadDataset } from '../../src/data/load-dataset.ts';
import { EngineSession } from '../../src/engine/engine-session.ts';
import { loadEngineModule } from '../../src/engine/load-engine-io.ts';
import { toChannelsFirst } from '../../src/inference/image-input.ts';
import { createSession } from '../../src/inference/session.ts';

const BATCH = 100;

export interface Agreement {
  readonly pictures: number;
  /** Those whose logits are all within 1e-4 of the largest of their picture. */
  readonly closeLogits: number;
  readonly sameDecision: number;
  readonly rightHere: number;
  readonly rightThere: number;
}

export async function agreementOn(path: string, dir: string, limit: number): Promise<Agreement> {
  const bytes = await readFile(path);
  const ours = await EngineSession.create(await loadEngineModule(), bytes);
  const stock = await createSession(bytes);
  const { mean, std } = parsePreprocessing(ours.metadata.get(PREPROCESSING_KEY) ?? '');
  const { test } = await loadDataset('cifar10', { dir, limitTrain: 1, limitTest: limit });
  const found = { pictures: 0, closeLogits: 0, sameDecision: 0, rightHere: 0, rightThere: 0 };
  try {
    for await (const { images, labels, count } of createBatches(test, { batchSize: BATCH, normalize: { mean, std } })) {
      const shape = [count, 3, 32, 32];
      const x = toChannelsFirst(images, count, 3);
      const here = ours.run(x, shape).data;
      const there = (await stock.run(x, shape)).data;
      const classes = here.length / count;
      for (let i = 0; i < count; i++) {
        const a = here.subarray(i * classes, (i + 1) * classes);
        const b = there.subarray(i * classes, (i + 1) * classes);
        const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const difference = a.reduce((most, value, k) => Math.max(most, Math.abs(value - (b[k] ?? Number.NaN))), 0);
        const [mine, theirs] = [largestIndex(a), largestIndex(b)];
        found.pictures++;
        found.closeLogits += Number(difference <= 1e-4 * largest);
        found.sameDecision += Number(mine === theirs);
        found.rightHere += Number(mine === labels[i]);
        found.rightThere += Number(theirs === labels[i]);
      }
    }
  } finally {
    ours.dispose();
    await stock.dispose();
  }
  return found;
}

function largestIndex(values: Float32Array): number {
  return values.indexOf(Math.max(...values));
}
