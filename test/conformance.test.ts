import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { loadNodeTests } from '../tools/conformance/node-tests.ts';
import { runChecks, surprises } from '../tools/conformance/run-checks.ts';

const data = loadNodeTests();

describe.skipIf(!data.ok)(`the node tests of the ONNX standard${data.ok ? '' : ` (skipped: ${data.reason})`}`, () => {
  it('pass in shape inference, constant folding and the trainer, but for the known exceptions', async () => {
    if (!data.ok) return;
    await tf.setBackend('cpu');
    const findings = runChecks(data.tests);
    expect(surprises(findings)).toEqual([]);
    // What is not run cannot fail: of each check at least so many tests, whatever the version of onnx.
    for (const [check, least] of Object.entries({ shapes: 400, folding: 50, training: 100 })) {
      const passed = findings.filter((finding) => finding.check === check && finding.verdict.outcome === 'passed');
      expect(passed.length, check).toBeGreaterThan(least);
    }
  }, 120_000);
});
