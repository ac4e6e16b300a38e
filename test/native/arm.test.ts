/** The NEON kernels: compiled by a cross-compiler and run by an emulator against their references, where both are installed. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const COMPILER = 'aarch64-linux-gnu-g++';
const EMULATOR = ['qemu-aarch64', 'qemu-aarch64-static'].find((name) => spawnSync(name, ['--version']).status === 0);
/** [program, arguments: few rounds, emulation is slow] */
const PROGRAMS: Readonly<Record<string, string[]>> = {
  binary_conv_test: ['3'],
  binary_weight_test: ['3'],
  chain_test: ['2'],
  dispatch_test: [],
  conv2d_test: ['10'],
  kernels_test: ['1'],
};

const missing =
  spawnSync(COMPILER, ['--version']).status !== 0
    ? `${COMPILER} is not installed`
    : EMULATOR === undefined
      ? 'qemu-aarch64 is not installed'
      : undefined;

it.skipIf(missing !== undefined)(
  `the kernels for 64-bit ARM equal their references${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const args = [
      'tools/build-native.mjs',
      '--sanitize=none',
      '--arch=arm64',
      `--only=${Object.keys(PROGRAMS).join()}`,
    ];
    const build = spawnSync(process.execPath, args, {
      cwd: ROOT,
      encoding: 'utf8',
      env: { ...process.env, CXX: COMPILER },
    });
    expect(build.stderr).toBe('');
    for (const [program, rounds] of Object.entries(PROGRAMS)) {
      const path = join(ROOT, 'build/native-test-arm64-none', program);
      const run = spawnSync(String(EMULATOR), ['-L', '/usr/aarch64-linux-gnu', path, ...rounds], { encoding: 'utf8' });
      expect(run.stdout + run.stderr).toMatch(/, 0 failures/);
      expect(run.status).toBe(0);
    }
  },
  400_000,
);
