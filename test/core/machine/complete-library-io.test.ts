import { copyFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { assertCompleteLibrary } from '../../../src/core/machine/complete-library-io.ts';
import { temporaryFolder } from '../../data/temporary-folder.ts';

const isLinux = process.platform === 'linux';

it.skipIf(!isLinux)('a program of the system is complete; cut off anywhere it is not', async () => {
  // Node itself is too large to copy.
  const path = join(await temporaryFolder(), 'library');
  await copyFile('/bin/sh', path);
  expect(() => assertCompleteLibrary(path)).not.toThrow();
  expect(() => assertCompleteLibrary(process.execPath)).not.toThrow();
  for (const size of [1000, 100]) {
    await truncate(path, size);
    expect(() => assertCompleteLibrary(path)).toThrow(`is cut off: ${size} bytes of `);
  }
});

it('what is no such file is left to who loads it', async () => {
  const path = join(await temporaryFolder(), 'text');
  for (const text of ['', 'no library', '\x7fELF']) {
    await writeFile(path, text);
    expect(() => assertCompleteLibrary(path)).not.toThrow();
  }
});
