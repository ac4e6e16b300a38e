/** What CONTRIBUTING.md promises of instruction sets: at most five files, and every kernel is compiled, chosen and compared for it. */

import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INSTRUCTION_SET } from './toys.ts';
import { chapter, TreeCopy } from './tree-copy.ts';

function missingTool(): string | undefined {
  if (process.platform === 'win32' || process.arch !== 'x64') return 'the toy is one of x64, under Linux or macOS';
  const compilers = process.env['CXX'] ? [process.env['CXX']] : ['c++', 'g++', 'clang++'];
  return compilers.some((name) => spawnSync(name, ['--version']).status === 0) ? undefined : 'no C++ compiler';
}

const missing = missingTool();
const { changes } = INSTRUCTION_SET;

it('an instruction set is at most five files, which CONTRIBUTING.md names', () => {
  expect(changes.length).toBeLessThanOrEqual(5);
  const text = chapter(INSTRUCTION_SET.chapter).replace(
    'native/simd/isa.{h,cc}',
    'native/simd/isa.h` `native/simd/isa.cc',
  );
  for (const { file } of changes) expect(text).toContain(`\`${file}\``);
});

describe.skipIf(missing !== undefined)(
  `a toy that extends AVX2${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const copy = new TreeCopy(['native', 'docs/native-backend.md', 'tools']);
    beforeAll(() => {
      for (const change of changes) copy.apply(change);
    });
    afterAll(() => copy.delete());

    it('has the kernels that are compiled for every instruction set, and theirs agree with the references', {
      timeout: 600_000,
    }, () => {
      const build = copy.node('tools/build-native.mjs', '--sanitize=none', '--only=kernels_test,dispatch_test');
      expect(build.status, build.stderr).toBe(0);
      const [dispatch, kernels] = build.stdout.trim().split('\n').sort();
      const chosen = spawnSync(dispatch!, [], { encoding: 'utf8' });
      expect(chosen.stdout).toMatch(/0 failures/);
      const { stdout } = spawnSync(kernels!, ['1'], { encoding: 'utf8' });
      expect(stdout).toMatch(/kernels of .*\btoy\b/);
      expect(stdout).toMatch(/[1-9] instruction sets, 0 failures/);
    });
  },
);
