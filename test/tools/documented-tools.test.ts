import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT, runSource } from '../cli/spawn-cli.ts';

/** Tools that pages name, run as they are documented. */

const hasNative = existsSync(join(ROOT, 'build/bnn_native.node'));
const DEBIAN = '/usr/share/libonnx-testdata/data/node';

it.skipIf(!hasNative)(
  `tools/bench-native.ts times every kernel${hasNative ? '' : ' (skipped: the native backend is not built)'}`,
  async () => {
    const { code, stdout, stderr } = await runSource('tools/bench-native.ts', ['--repeat', '1', '--threads', '1']);
    expect(code, stderr).toBe(0);
    for (const kernel of ['BnnSign', 'BnnBatchNormTrain', 'BnnBatchNormInfer', 'BnnBatchNormGrad', 'BnnSgdMomentum']) {
      expect(stdout).toMatch(new RegExp(`^${kernel} .* ms +[\\d.]+ GB/s$`, 'm'));
    }
    expect(stdout).toMatch(/^3×3\/1 .* forward .* Gflop\/s/m);
  },
  120_000,
);

it.skipIf(existsSync(DEBIAN))(
  `tools/conformance.ts says what it needs${existsSync(DEBIAN) ? ' (skipped: the tests of the standard are here)' : ''}`,
  async () => {
    const { code, stderr } = await runSource('tools/conformance.ts', [], { env: { BNN_PYTHON: '/nowhere/python' } });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^no node tests: .*pip install onnx.*FOLDER/);
  },
  60_000,
);
