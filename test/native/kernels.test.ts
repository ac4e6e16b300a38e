/** The C++ tests of the binary kernels: every row of this processor against the bit-by-bit reference, plain and sanitized. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TOOL = join(ROOT, 'tools', 'build-native.mjs');
const PROGRAMS = ['binary_conv_test', 'binary_weight_test', 'chain_test', 'dispatch_test'];

function missingTool(): string | undefined {
  if (process.platform === 'win32') return 'not built on Windows';
  const compilers = process.env['CXX'] ? [process.env['CXX']] : ['c++', 'g++', 'clang++'];
  const found = compilers.find((name) => spawnSync(name, ['--version']).status === 0);
  if (found === undefined) return 'no C++ compiler';
  const args = ['-x', 'c++', '-', '-fsanitize=address,undefined', '-o', '/dev/null'];
  return spawnSync(found, args, { input: 'int main() { return 0; }' }).status === 0
    ? undefined
    : `${found} has no sanitizers`;
}

const missing = missingTool();

describe.skipIf(missing !== undefined)(missing === undefined ? 'kernels' : `kernels (skipped: ${missing})`, () => {
  it.each(['none', 'address,undefined'])(
    'equal their references, sanitizers: %s',
    { timeout: 300_000 },
    (sanitizers) => {
      const options = [`--sanitize=${sanitizers}`, `--only=${PROGRAMS.join()}`];
      const build = spawnSync(process.execPath, [TOOL, ...options], { encoding: 'utf8' });
      expect(build.stderr).toBe('');
      const programs = build.stdout.trim().split('\n');
      expect(programs).toHaveLength(PROGRAMS.length);
      for (const program of programs) {
        // Leak detection needs ptrace, which containers forbid.
        const env = { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' };
        const run = spawnSync(program, [], { encoding: 'utf8', env });
        expect(run.stderr).toBe('');
        expect(run.stdout).toMatch(/[1-9]\d* (rows of kernels|instruction sets|processors and names), 0 failures/);
        expect(run.status).toBe(0);
      }
    },
  );
});
