import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Found } from '../../../src/core/found.ts';
import type { NativeFile } from '../../../src/core/machine/native-file-io.ts';
import { platformName, platformPackage } from '../../../src/core/machine/native-files.ts';

/** Which native files are taken, in a package of its own in a temporary folder. */

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const platform = platformName();
const title = platform === undefined ? '' : platformPackage(platform);
type Load = (kind: 'training', load: (file: NativeFile) => string) => Found<{ file: NativeFile; value: string }>;

let home: string;
let loadNativeFile: Load;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'bnn-native-'));
  cpSync(join(ROOT, 'src/core'), join(home, 'src/core'), { recursive: true });
  cpSync(join(ROOT, 'src/errors.ts'), join(home, 'src/errors.ts'));
  write('package.json', '{ "name": "bnn-toolchain", "version": "1.2.3", "type": "module" }');
  mkdirSync(join(home, 'node_modules'));
  symlinkSync(join(ROOT, 'node_modules/detect-libc'), join(home, 'node_modules/detect-libc'));
  vi.stubEnv('XDG_CACHE_HOME', join(home, 'cache'));
  vi.stubEnv('BNN_NATIVE', '');
  ({ loadNativeFile } = (await import(join(home, 'src/core/machine/native-file-io.ts'))) as { loadNativeFile: Load });
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

/** @param seconds since 1970. */
function write(name: string, text: string, seconds?: number): void {
  const path = join(home, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  if (seconds !== undefined) utimesSync(path, seconds, seconds);
}
const writeBuilt = (seconds = 2000) => write('build/bnn_native.node', 'built', seconds);
const writeSource = (seconds: number) => write('native/node/addon.cc', '', seconds);
function writePrebuilt(version = '1.2.3'): void {
  write(`node_modules/${title}/package.json`, JSON.stringify({ name: title, version }));
  write(`node_modules/${title}/bnn_native.node`, 'prebuilt');
}
/** Where the file that was taken is from, or why there is none. */
function taken(load: (file: NativeFile) => string = () => ''): string {
  const result = loadNativeFile('training', load);
  return result.ok ? result.value.file.origin : `${result.reason}; ${result.hint}`;
}
const prebuilt = `prebuilt in ${title} 1.2.3`;

describe.skipIf(platform === undefined)('the native addon', () => {
  it('that is nowhere: says where it was looked for, and what builds it', () => {
    expect(taken()).toBe(
      `there is no native addon (not built: ${join(home, 'build/bnn_native.node')} does not exist; ${title} is not installed); ` +
        'bnn setup native builds it here (it needs a C++ compiler: g++ or clang++)',
    );
  });

  it('is that of the platform package where nothing was built', () => {
    writePrebuilt();
    expect(taken()).toBe(prebuilt);
  });

  it('is the one built here, also where there is a prebuilt one', () => {
    writeBuilt();
    expect(taken()).toBe('built here');
    writePrebuilt();
    writeSource(1000);
    expect(taken()).toBe('built here');
  });

  it('is the prebuilt one where a source is newer than what was built', () => {
    writeBuilt();
    writeSource(3000);
    expect(taken()).toBe('built here');
    writePrebuilt();
    expect(taken()).toBe(prebuilt);
  });

  it('is the prebuilt one where what was built does not load', () => {
    writeBuilt();
    writePrebuilt();
    const load = ({ isPrebuilt }: NativeFile) => {
      if (!isPrebuilt) throw new Error('wrong ELF class');
      return '';
    };
    expect(taken(load)).toBe(prebuilt);
  });

  it('that does not load anywhere says why for each', () => {
    writeBuilt();
    writePrebuilt();
    const load = ({ isPrebuilt }: NativeFile): string => {
      throw new Error(isPrebuilt ? 'no such symbol' : 'wrong ELF class');
    };
    expect(taken(load)).toContain(
      `(that built here does not load: wrong ELF class; that ${prebuilt} does not load: no such symbol)`,
    );
  });

  it('of another version is not taken', () => {
    writePrebuilt('1.2.2');
    expect(taken()).toContain(`${title} is version 1.2.2, expected 1.2.3`);
  });

  it('is found in the cache, where the package could not be written', () => {
    write(`cache/bnn-toolchain/native/1.2.3-${process.platform}-${process.arch}/bnn_native.node`, 'built');
    expect(taken()).toBe('built here');
  });

  it.each([
    ['prebuilt', prebuilt],
    ['built', 'built here'],
  ])('is the one that BNN_NATIVE=%s names', (value, expected) => {
    writeBuilt();
    writePrebuilt();
    vi.stubEnv('BNN_NATIVE', value);
    expect(taken()).toBe(expected);
  });

  it('is none with BNN_NATIVE=none', () => {
    writeBuilt();
    vi.stubEnv('BNN_NATIVE', 'none');
    expect(taken()).toMatch(/^there is no native addon \(BNN_NATIVE is none\)/);
  });
});

describe.skipIf(platform === undefined)('what is damaged', () => {
  it.each(['', '[1', 'null'])('a package of the platform with %j for its description is named', (text) => {
    writePrebuilt();
    write(`node_modules/${title}/package.json`, text);
    expect(taken()).toContain(title);
    writeBuilt();
    expect(taken()).toBe('built here');
  });

  it('a link among the sources that leads nowhere, as editors leave them, is no source', () => {
    writePrebuilt();
    writeBuilt(2000);
    writeSource(1000);
    symlinkSync('nowhere', join(home, 'native/.#addon.cc'));
    expect(taken()).toBe('built here');
  });

  it('a choice in BNN_NATIVE that there is not is said', () => {
    writeBuilt();
    vi.stubEnv('BNN_NATIVE', 'buitl');
    expect(taken()).toContain("BNN_NATIVE is 'buitl', expected built, prebuilt or none); unset BNN_NATIVE");
  });
});
