/** The C++ test programs under the address and undefined-behaviour sanitizers, and the build tool without a compiler. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const TOOL = join(ROOT, 'tools', 'build-native.mjs');

function missingTool(): string | undefined {
  if (process.platform === 'win32') return 'not built on Windows';
  const compilers = process.env['CXX'] ? [process.env['CXX']] : ['c++', 'g++', 'clang++'];
  const found = compilers.find((name) => spawnSync(name, ['--version']).status === 0);
  if (found === undefined) return 'no C++ compiler';
  const program = 'int main() { return 0; }';
  const args = ['-x', 'c++', '-', '-fsanitize=address,undefined', '-o', '/dev/null'];
  return spawnSync(found, args, { input: program }).status === 0 ? undefined : `${found} has no sanitizers`;
}

const missing = missingTool();

describe.skipIf(missing !== undefined)(missing === undefined ? 'C++ tests' : `C++ tests (skipped: ${missing})`, () => {
  it('pass under the address and undefined-behaviour sanitizers', { timeout: 300_000 }, () => {
    const options = ['--sanitize=address,undefined', '--only=conv2d_test,kernels_test'];
    const build = spawnSync(process.execPath, [TOOL, ...options], { encoding: 'utf8' });
    expect(build.stderr).toBe('');
    const programs = build.stdout.trim().split('\n');
    expect(programs).toHaveLength(2);
    for (const program of programs) {
      // How many random shapes, each on all instruction sets and with 1 to 3 threads.
      const rounds = program.endsWith('conv2d_test') ? ['30'] : [];
      // The thread pool is never freed on purpose, and leak detection needs ptrace, which containers forbid.
      const env = { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' };
      const run = spawnSync(program, rounds, { encoding: 'utf8', env });
      expect(run.stderr).toBe('');
      expect(run.stdout).toMatch(/[1-9]\d* instruction sets, 0 failures/);
      expect(run.status).toBe(0);
    }
  });
});

describe('build tool', () => {
  const env = { ...process.env, CXX: 'no-such-compiler' };

  it('without a compiler says what is missing, what works anyway and what to do, and succeeds', () => {
    const result = spawnSync(process.execPath, [TOOL], { encoding: 'utf8', env });
    expect(result.status).toBe(0);
    expect(result.stderr).toMatch(/no C\+\+ compiler \(no-such-compiler\) was found/);
    expect(result.stderr).toMatch(/the tensorflow and cpu backends, export and validation work without it/);
    expect(result.stderr).toMatch(/apt-get install g\+\+/);
  });

  it('fails with --required', () => {
    expect(spawnSync(process.execPath, [TOOL, '--required'], { env }).status).toBe(1);
  });
});
