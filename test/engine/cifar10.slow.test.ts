/** The test set of CIFAR-10 on every packed network of the repository: decisions and logits of stock onnxruntime. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { sharedData } from '../data/shared-data.ts';
import { agreementOn } from './cifar10-agreement.ts';

const CIFAR = sharedData('cifar-10-batches-bin');
const MODELS = readdirSync('models')
  .filter((name) => name.startsWith('cifar10-'))
  .map((name) => join('models', name, 'model.onnx'))
  .filter((path) => existsSync(path));

it.skipIf(CIFAR.isMissing).each(MODELS)(
  `%s: 10,000 pictures${CIFAR.isMissing ? ' (skipped: ../shared is not here)' : ''}`,
  async (path) => {
    const found = await agreementOn(path, CIFAR.path, 10_000);
    console.log(path, found);
    expect(found.pictures).toBe(10_000);
    // Found on 2026-11-29: decisions 10,000 and 9,998, logits 9,985 and 9,951 (ResNet-8 and ResNet-20). docs/web.md says why.
    expect(found.closeLogits).toBeGreaterThanOrEqual(9900);
    expect(found.sameDecision).toBeGreaterThanOrEqual(9995);
    expect(Math.abs(found.rightHere - found.rightThere)).toBeLessThanOrEqual(5);
  },
);
