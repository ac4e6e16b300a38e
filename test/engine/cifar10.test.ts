import { expect, it } from 'vitest';
import { sharedData } from '../data/shared-data.ts';
import { agreementOn } from './cifar10-agreement.ts';

const CIFAR = sharedData('cifar-10-batches-bin');

// All 10,000 pictures and every packed network: cifar10.slow.test.ts.
it.skipIf(CIFAR.isMissing)(
  `1,000 pictures of CIFAR-10: logits and decisions of stock onnxruntime${CIFAR.isMissing ? ' (skipped: ../shared is not here)' : ''}`,
  async () => {
    const found = await agreementOn('models/cifar10-resnet8-bireal/model.onnx', CIFAR.path, 1000);
    expect(found.pictures).toBe(1000);
    // Floats before the first sign are summed in another order; now and then one falls on the other side of 0.
    expect(found.closeLogits).toBeGreaterThanOrEqual(990);
    expect(found.sameDecision).toBeGreaterThanOrEqual(999);
    expect(found.rightThere).toBeGreaterThan(800);
  },
  120_000,
);
