import { spawnSync } from 'node:child_process';
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

const hasModels = ['clang++', 'llvm-mca', 'aarch64-linux-gnu-g++'].every(
  (name) => spawnSync(name, ['--version']).status === 0,
);
it.skipIf(!hasModels)(
  `tools/neon-throughput.mjs finds the loop and its limits${hasModels ? '' : ' (skipped: no clang++, llvm-mca or headers of aarch64)'}`,
  () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'tools/neon-throughput.mjs')], {
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
    // An xor, a count and an addition for each; and each of the four weights is spread once for all pixels.
    const [products, vectors] = (/^(\d+) times 128 products in \d+ instructions, (\d+) of/.exec(stdout) ?? []).slice(1);
    expect(Number(vectors)).toBe(3 * Number(products) + 4);
    for (const processor of ['cortex-a72', 'cortex-a76', 'apple-m1'])
      expect(stdout).toMatch(new RegExp(`^${processor}: \\d\\.\\d\\d cycles`, 'm'));
  },
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
