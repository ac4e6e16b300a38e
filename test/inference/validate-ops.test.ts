/** `bnn-validate --ops`: our kernels and stock onnxruntime must come to the same figures on real pictures. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { validateModel } from '../../src/inference/validate.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { missingAddon, missingOps } from './native-parts.ts';

const missing = missingAddon ?? missingOps;

test.skipIf(missing !== undefined)(
  `the figures do not depend on whose kernels run${missing ? ` (skipped: ${missing})` : ''}`,
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bnn-validate-ops-'));
    try {
      const model = join(folder, 'mini.onnx');
      await writeFile(model, encodeModel(lowerToPacked(buildModel('binarynet-mini', { seed: 9 })).model));
      const options = { model, dataset: 'mnist', limit: 300, batchSize: 100, threads: 1 } as const;
      const stock = await validateModel({ ...options, ops: 'off' });
      const ours = await validateModel({ ...options, ops: 'on', against: model });
      const auto = await validateModel(options);
      expect([stock.ops, ours.ops, auto.ops]).toEqual(['off', 'on', 'on']);
      expect(ours.agreement).toBe(1);
      for (const { top1, top5, loss, images } of [ours, auto]) {
        expect({ top1, top5, images }).toEqual({ top1: stock.top1, top5: stock.top5, images: 300 });
        expect(Math.abs(loss - stock.loss)).toBeLessThan(1e-5 * stock.loss);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  60_000,
);
