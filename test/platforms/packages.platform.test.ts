/** What is in the released packages, without running them: formats, symbols that go in and out, sizes, what the manifests say. */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { nativeFiles, PLATFORMS, type PlatformName, platformPackage } from '../../src/core/machine/native-files.ts';
import { buildInfo, packageFolder, ROOT } from './released.ts';

const NM = ['llvm-nm', 'llvm-nm-14'].find((name) => spawnSync(name, ['--version']).status === 0);
const OBJDUMP = ['llvm-objdump', 'llvm-objdump-14'].find((name) => spawnSync(name, ['--version']).status === 0);

const FORMATS: Readonly<Record<PlatformName, RegExp>> = {
  'linux-x64': /elf64-x86-64/,
  'linux-arm64': /elf64-littleaarch64/,
  'linux-x64-musl': /elf64-x86-64/,
  'darwin-arm64': /mach-o arm64/,
  'darwin-x64': /mach-o 64-bit x86-64/,
  'win32-x64': /coff-x86-64/,
};

const output = (program: string | undefined, ...args: string[]) =>
  execFileSync(String(program), args, { encoding: 'utf8' });
const systemOf = (platform: PlatformName) => platform.split('-')[0] as NodeJS.Platform;

function missingOf(platform: PlatformName): string | undefined {
  if (NM === undefined || OBJDUMP === undefined) return 'no llvm-nm and llvm-objdump (Debian: clang)';
  return existsSync(join(packageFolder(platform), 'build.json'))
    ? undefined
    : `release/packages/${platform} is not made`;
}

/** Names that a library exports, as a C program writes them. */
function exported(platform: PlatformName, path: string): string[] {
  if (platform === 'win32-x64') {
    const table = output(OBJDUMP, '-p', path).split('Export Table:')[1] ?? '';
    const names = [...table.matchAll(/^\s+\d+\s+0x[0-9a-f]+\s+(\w+)$/gm)].map(([, name]) => String(name));
    // The unwinder in each library is marked as exported; on Windows nothing finds it there by its name alone.
    return names.filter((name) => !/^(_Unwind|unw|_GCC)_/.test(name));
  }
  const args = systemOf(platform) === 'darwin' ? ['-gU'] : ['-D', '--defined-only'];
  const names = output(NM, ...args, path).matchAll(/^[0-9a-f]+ [A-Z] (\S+)$/gm);
  return [...names].map(([, name]) =>
    String(name)
      .replace(/^_(?=[a-zA-Z])/, '')
      .replace(/@@.*/, ''),
  );
}

/** Names that it wants from others. */
function wanted(path: string, ...args: string[]): string[] {
  return [...output(NM, ...args, path).matchAll(/^\s+[Uw] (\S+)$/gm)].map(([, name]) => String(name));
}

const ADDON_EXPORTS = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];

describe.each(PLATFORMS)('%s', (platform) => {
  const folder = packageFolder(platform);
  const missing = missingOf(platform);
  const files = nativeFiles(systemOf(platform));
  const paths = Object.values(files).map((name) => join(folder, name));

  it.skipIf(missing !== undefined)(`says what it is${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const own = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(manifest).toMatchObject({ name: platformPackage(platform), version: own.version });
    expect(manifest.os).toEqual([systemOf(platform)]);
    expect(manifest.cpu).toEqual([platform.split('-')[1]]);
    expect(manifest.libc).toEqual(
      systemOf(platform) !== 'linux' ? undefined : [platform.endsWith('musl') ? 'musl' : 'glibc'],
    );
    expect(manifest.scripts).toBeUndefined();
    expect(buildInfo(platform).rows).toContain(platform.includes('arm64') ? 'neon' : 'avx512vpopcntdq');
  });

  it.skipIf(missing !== undefined)(
    'has libraries of its format, no larger than 4 MB together, with no path of this machine',
    () => {
      for (const path of paths) {
        expect(output(OBJDUMP, '-h', path)).toMatch(FORMATS[platform]);
        expect(readFileSync(path).includes(ROOT)).toBe(false);
      }
      expect(paths.reduce((sum, path) => sum + statSync(path).size, 0)).toBeLessThan(4e6);
    },
  );

  it.skipIf(missing !== undefined)('exports the entry points and nothing else', () => {
    for (const name of [files.training, files.session]) {
      expect(exported(platform, join(folder, name)).sort(), name).toEqual(ADDON_EXPORTS);
    }
    expect(exported(platform, join(folder, files.operators))).toEqual(['RegisterCustomOps']);
  });

  const isLinux = systemOf(platform) === 'linux';
  it.skipIf(missing !== undefined || !isLinux)('wants nothing of the system but its C library', () => {
    for (const path of paths) {
      const needed = [...output(OBJDUMP, '-p', path).matchAll(/NEEDED\s+(\S+)/g)].map(([, name]) => String(name));
      for (const name of needed) expect(name).toMatch(/^(lib(c|m|dl|pthread|rt)\.so(\.\d)?|ld-linux\S*)$/);
      if (platform.endsWith('musl')) continue;
      const versions = [...output(NM, '-D', path).matchAll(/@GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
      expect(Math.max(...versions)).toBeLessThanOrEqual(17);
    }
  });

  it.skipIf(missing !== undefined || systemOf(platform) !== 'darwin')(
    'finds every symbol in libSystem or in Node, and is signed where it must be',
    () => {
      const stub = readFileSync(join(ROOT, 'build/release/zig-0.11.0/lib/libc/darwin/libSystem.11.tbd'), 'utf8');
      const system = new Set(stub.match(/[\w$.]+/g));
      for (const path of paths) {
        const names = wanted(path, '-gu').concat(output(NM, '-gu', path).match(/^_\S+$/gm) ?? []);
        expect(names.length).toBeGreaterThan(10);
        expect(names.filter((name) => !/^_(napi|node_api)_/.test(name) && !system.has(name))).toEqual([]);
        const headers = output(OBJDUMP, '--macho', '--private-headers', path);
        if (platform === 'darwin-arm64') expect(headers).toContain('LC_CODE_SIGNATURE');
        expect(headers).toMatch(/minos 11\.0|version 11\.0/);
      }
    },
  );

  it.skipIf(missing !== undefined || platform !== 'win32-x64')('wants nothing but what every Windows has', () => {
    for (const path of paths) {
      const libraries = [...output(OBJDUMP, '-p', path).matchAll(/DLL Name: (\S+)/g)].map(([, name]) => String(name));
      expect(libraries.length).toBeGreaterThan(0);
      for (const name of libraries)
        expect(name).toMatch(/^(KERNEL32|ntdll|ADVAPI32|msvcrt|api-ms-win-crt-[\w-]+)\.dll$/i);
    }
  });
});
