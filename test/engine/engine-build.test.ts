/** The WebAssembly that is committed is what the sources give; other versions of clang give other bytes. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const CLANG = 'clang version 14.';

function missingPart(): string | undefined {
  const { stdout, status } = spawnSync('clang++', ['--version'], { encoding: 'utf8' });
  if (status !== 0) return 'there is no clang++';
  if (!stdout.includes(CLANG)) return `this is ${stdout.split('\n')[0]}, not ${CLANG}`;
  const probe = ['--target=wasm32-wasi', '-x', 'c++', '-', '-o', '/dev/null', '-mexec-model=reactor'];
  const { stderr } = spawnSync('clang++', probe, { encoding: 'utf8', input: '#include <vector>\n' });
  return stderr === '' ? undefined : `no libraries for WebAssembly: ${stderr.split('\n')[0]}`;
}

const missing = missingPart();

it.skipIf(missing !== undefined)(
  `the modules are built from these sources${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    const { stderr, status } = spawnSync(process.execPath, ['tools/build-wasm.mjs', '--check'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    expect([stderr, status]).toEqual(['', 0]);
  },
  300_000,
);
