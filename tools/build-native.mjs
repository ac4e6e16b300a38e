/**
 * Builds the native libraries (see TARGETS) in build/ with the C++ compiler of the machine.
 *
 *     node tools/build-native.mjs [--check] [--required] [--sanitize=address,undefined [--only=conv2d_test] [--arch=arm64]]
 *
 *     (nothing)       build what changed; without a compiler say so and succeed, because everything else works without it
 *     --required      exit 1 when something could not be built
 *     --check         print whether the build is up to date; exit 1 when not
 *     --sanitize=…    build the test programs native/test/*_test.cc under these sanitizers (`none`: without) and print their paths
 *     --only=…        only these test programs, separated by commas
 *     --arch=arm64    compile them for another processor, with a cross-compiler in $CXX
 *
 * Why not node-gyp: it needs Python and Node's headers from nodejs.org, and a fresh machine with only the npm registry has
 * neither. Node-API is a stable C interface, so its headers (npm package node-api-headers) and one compiler command per file are
 * enough. This is plain JavaScript on Node's own modules because it runs from the `install` script, before devDependencies.
 *
 * Only files of an instruction set get its flags: the others must run on any processor, which then chooses at run time. A `.isa.cc` is
 * compiled once for each.
 */

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const source = join(root, 'native');
const objects = join(root, 'build', 'native');

const AVX512 = ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma', '-mavx2'];

/**
 * The instruction sets of native/simd/isa.h by processor: compiler flags, and how many floats a vector holds where every `.isa.cc` is
 * compiled for it. A set without gets the files whose name ends in `_<instruction set>.cc` only.
 */
const INSTRUCTION_SETS = {
  x64: {
    scalar: { flags: [], floats: 4 },
    avx2: { flags: ['-mavx2', '-mfma', '-mf16c', '-mpopcnt'], floats: 8 },
    avx512: { flags: AVX512, floats: 16 },
    avx512vpopcntdq: { flags: [...AVX512, '-mavx512vpopcntdq', '-mpopcnt'] },
  },
  arm64: {
    scalar: { flags: [], floats: 4 },
    neon: { flags: [], floats: 4 },
  },
  wasm32: {
    wasm: { flags: [] },
  },
};
const NO_INSTRUCTION_SETS = { scalar: { flags: [], floats: 4 } };
/** What is compiled for: this processor, unless told. */
const targetArch = process.argv.find((option) => option.startsWith('--arch='))?.slice('--arch='.length) ?? process.arch;
const ISA_NAMES = [...new Set(Object.values(INSTRUCTION_SETS).flatMap(Object.keys))];
const ISA_SUFFIX = new RegExp(`_(${ISA_NAMES.join('|')})\\.cc$`);
const ISA_SOURCE = /\.isa\.cc$/;

// No -ffast-math: NaN must pass through and ±1 sums must stay exact. Contraction to fused multiply-add is wanted everywhere.
const FLAGS = [
  ...['-std=c++17', '-fPIC', '-pthread', '-fvisibility=hidden'],
  ...['-fno-math-errno', '-fno-trapping-math', '-ffp-contract=fast'],
  ...['-Wall', '-Wextra', '-Wno-psabi'],
];

/** Packed layers must give what their function body gives in stock onnxruntime: each operation rounded by itself. */
const EXACT_FILES = /^kernels[\\/](binarize|binary_conv|binary_gemm)[\\/]/;
const EXACT_FLAGS = ['-ffp-contract=off'];

const TRAINING_KERNELS = [
  ...['simd', 'threading', 'memory', 'kernels/conv2d', 'kernels/depthwise', 'kernels/binary_conv', 'kernels/binarize'],
  ...[
    'kernels/elementwise',
    'kernels/optimizer',
    'kernels/batch_norm',
    'kernels/pooling',
    'kernels/copy',
    'kernels/peak',
  ],
];

const isMac = process.platform === 'darwin';
// nodelete: worker threads of the addon outlive a JavaScript worker that loaded it.
const NODE_ADDON = isMac ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared', '-Wl,-z,nodelete', '-ldl'];
// nodelete: onnxruntime's sessions keep pointers into the library.
const LIBRARY = isMac
  ? ['-dynamiclib', '-Wl,-exported_symbol,_RegisterCustomOps']
  : ['-shared', '-Wl,-z,nodelete', `-Wl,--version-script=${join(source, 'ort', 'exports.map')}`];

/** What is built: a file in build/ from all `.cc` files of some folders. Left out while its first folder has none. */
const TARGETS = [
  { file: 'bnn_native.node', folders: ['node', ...TRAINING_KERNELS], link: NODE_ADDON },
  {
    file: isMac ? 'libbnn_ops.dylib' : 'libbnn_ops.so',
    folders: [
      'ort',
      'simd',
      'memory',
      ...['binarize', 'binary_conv', 'binary_gemm', 'binary_weight'].map((k) => `kernels/${k}`),
    ],
    link: LIBRARY,
  },
  { file: 'bnn_ort.node', folders: ['node_ort', 'simd'], link: NODE_ADDON },
];

/** The folders that a test program is linked with; programs not named here get all kernels. */
const TEST_FOLDERS = { conv2d_test: TRAINING_KERNELS, kernels_test: TRAINING_KERNELS };
const ALL_KERNELS = ['simd', 'threading', 'memory', 'kernels'];

/** A reason why something cannot be built, with what to do about it. */
class BuildProblem extends Error {
  constructor(found, advice) {
    super(`${found}; the tensorflow and cpu backends, export and validation work without it. ${advice}`);
  }
}

function listFiles(folder, accept) {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter(accept)
    .sort();
}

function findCompiler() {
  const candidates = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++'];
  for (const candidate of candidates) {
    const [command, ...args] = candidate.trim().split(/\s+/);
    const result = spawnSync(command, [...args, '--version'], { encoding: 'utf8' });
    if (result.status === 0) return { command, args, version: result.stdout.split('\n')[0] };
  }
  throw new BuildProblem(
    `no C++ compiler (${candidates.join(', ')}) was found`,
    'Install one (Debian, Ubuntu: apt-get install g++; macOS: xcode-select --install), then run: npm rebuild',
  );
}

function findHeaders() {
  try {
    const require = createRequire(import.meta.url);
    return join(dirname(require.resolve('node-api-headers/package.json')), 'include');
  } catch {
    throw new BuildProblem('the npm package node-api-headers is not installed', 'Run: npm install');
  }
}

const read = new Map();

/** The contents of a file and of all that it includes from native/, for the hash that decides whether it is compiled again. */
function contentHash(file, seen = new Set()) {
  if (seen.has(file)) return '';
  seen.add(file);
  if (!read.has(file)) {
    const text = readFileSync(file, 'utf8');
    read.set(file, { text, headers: [...text.matchAll(/^\s*#include "([^"]+)"/gm)].map(([, name]) => name) });
  }
  const { text, headers } = read.get(file);
  const hash = createHash('sha256').update(text);
  for (const name of headers) {
    const path = [join(source, name), join(dirname(file), name)].find((candidate) => existsSync(candidate));
    if (path !== undefined) hash.update(contentHash(path, seen));
  }
  return hash.digest('hex');
}

/** What a file is compiled with, once for each instruction set that it is for. */
function compilationsOf(file) {
  const sets = INSTRUCTION_SETS[targetArch] ?? NO_INSTRUCTION_SETS;
  if (ISA_SOURCE.test(file)) {
    return Object.entries(sets)
      .filter(([, { floats }]) => floats !== undefined)
      .map(([isa, { flags, floats }]) => ({
        isa,
        flags: [...flags, `-DBNN_ISA=${isa}`, `-DBNN_VECTOR_FLOATS=${floats}`],
      }));
  }
  const isa = ISA_SUFFIX.exec(file)?.[1];
  if (isa === undefined) return [{ flags: [] }];
  return isa in sets ? [{ flags: sets[isa].flags }] : [];
}

/** The objects of some folders: the command that makes each, and a hash of all that it depends on. */
function planObjects(compiler, { folders, objects, flags, include }) {
  return folders
    .filter((folder) => existsSync(join(source, folder)))
    .flatMap((folder) => listFiles(join(source, folder), (name) => name.endsWith('.cc')))
    .flatMap((file) => compilationsOf(file).map((compilation) => ({ file, ...compilation })))
    .map(({ file, isa, flags: isaFlags }) => {
      const path = relative(source, file);
      const name = isa === undefined ? path : `${path}-${isa}`;
      const exact = EXACT_FILES.test(path) ? EXACT_FLAGS : [];
      const args = [...compiler.args, ...FLAGS, ...exact, ...flags, ...isaFlags, `-I${source}`];
      for (const folder of include) args.push(`-isystem${folder}`);
      const hash = createHash('sha256')
        .update(JSON.stringify([compiler.version, compiler.command, args, contentHash(file)]))
        .digest('hex');
      return { name, file, args, hash, object: join(objects, `${name.replaceAll(/[\\/]/g, '-')}.o`) };
    });
}

function readManifest(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));
  } catch {
    return {};
  }
}

/** Adds entries; read again first, because another build may have run meanwhile. */
function writeManifest(folder, entries) {
  const temporary = join(folder, `manifest.${process.pid}.tmp`);
  writeFileSync(temporary, JSON.stringify({ ...readManifest(folder), ...entries }, undefined, 1));
  renameSync(temporary, join(folder, 'manifest.json'));
}

function isCurrent(task, manifest) {
  return manifest[task.name] === task.hash && existsSync(task.object);
}

/** Runs a command; undefined when it succeeded, else the beginning of what it printed. */
function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (data) => {
      errors += data;
    });
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code) => {
      resolve(code === 0 ? undefined : errors.split('\n').slice(0, 12).join('\n') || `exit code ${code}`);
    });
  });
}

async function compileAll(tasks, compiler, folder) {
  mkdirSync(folder, { recursive: true });
  const manifest = readManifest(folder);
  const waiting = tasks.filter((task) => !isCurrent(task, manifest));
  const done = {};
  const failures = [];
  let next = 0;
  async function worker() {
    while (next < waiting.length && failures.length === 0) {
      const task = waiting[next++];
      const temporary = `${task.object}.${process.pid}.tmp`;
      const problem = await run(compiler.command, [...task.args, '-c', task.file, '-o', temporary]);
      if (problem !== undefined) {
        rmSync(temporary, { force: true });
        failures.push(`${task.name}:\n${problem}`);
        continue;
      }
      renameSync(temporary, task.object);
      done[task.name] = task.hash;
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, availableParallelism()) }, worker));
  writeManifest(folder, done);
  if (failures.length > 0) {
    throw new BuildProblem(
      `it did not compile with ${compiler.version}: ${failures[0]}`,
      'Use GCC 9 or later or Clang 10 or later (CXX=… names another compiler), then run: npm rebuild',
    );
  }
  return waiting.length;
}

async function link(compiler, args, target) {
  const temporary = `${target}.${process.pid}.tmp`;
  const problem = await run(compiler.command, [...compiler.args, ...args, '-o', temporary]);
  if (problem !== undefined) {
    rmSync(temporary, { force: true });
    throw new BuildProblem(`it did not link: ${problem}`, 'Check the compiler installation, then run: npm rebuild');
  }
  renameSync(temporary, target);
}

/** Builds one target when it is not up to date. */
async function buildTarget(target, compiler, headers) {
  const output = join(root, 'build', target.file);
  const tasks = planTarget(target, compiler, headers);
  const stamp = linkStamp(target, tasks);
  if (existsSync(output) && readManifest(objects)[target.file] === stamp) return;
  const start = performance.now();
  const compiled = await compileAll(tasks, compiler, objects);
  await link(compiler, ['-pthread', ...tasks.map((task) => task.object), ...target.link], output);
  writeManifest(objects, { [target.file]: stamp });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.error(
    `built build/${target.file}: ${compiled} of ${tasks.length} files compiled, ${seconds} s, ${compiler.version}`,
  );
}

function planTarget(target, compiler, headers) {
  return planObjects(compiler, { folders: target.folders, objects, flags: ['-O3'], include: [headers] });
}

function linkStamp(target, tasks) {
  const parts = [target.link, tasks.map((task) => task.hash)];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

function presentTargets() {
  const hasSources = ([folder]) =>
    existsSync(join(source, folder)) && readdirSync(join(source, folder)).some((name) => name.endsWith('.cc'));
  return TARGETS.filter((target) => hasSources(target.folders));
}

/** Builds everything; a target that fails does not stop the others. Returns whether all were built. */
async function buildAll() {
  const compiler = findCompiler();
  const headers = findHeaders();
  let isComplete = true;
  for (const target of presentTargets()) {
    try {
      await buildTarget(target, compiler, headers);
    } catch (error) {
      report(error, `build/${target.file}`);
      isComplete = false;
    }
  }
  return isComplete;
}

/** Prints for each target whether it is up to date. */
function checkAll() {
  const compiler = findCompiler();
  const headers = findHeaders();
  const manifest = readManifest(objects);
  const states = presentTargets().map((target) => {
    const stamp = linkStamp(target, planTarget(target, compiler, headers));
    const isUpToDate = existsSync(join(root, 'build', target.file)) && manifest[target.file] === stamp;
    console.log(`build/${target.file} is ${isUpToDate ? 'up to date' : 'not up to date; run: npm rebuild'}`);
    return isUpToDate;
  });
  return states.every(Boolean);
}

/** Builds the test programs and prints their paths. */
async function buildTests(sanitizers, only) {
  const compiler = findCompiler();
  const isPlain = sanitizers === 'none';
  const folder = join(root, 'build', `native-test-${targetArch}-${sanitizers.replaceAll(',', '-')}`);
  const sanitize = isPlain ? [] : [`-fsanitize=${sanitizers}`];
  const flags = isPlain ? ['-O2'] : ['-O1', '-g', ...sanitize, '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'];
  const plan = (folders) => planObjects(compiler, { folders, objects: folder, flags, include: [] });
  for (const program of plan(['test'])) {
    const name = basename(program.name, '.cc');
    if (only !== undefined && !only.split(',').includes(name)) continue;
    const tasks = [program, ...plan(TEST_FOLDERS[name] ?? ALL_KERNELS)];
    await compileAll(tasks, compiler, folder);
    const output = join(folder, name);
    await link(compiler, ['-pthread', ...sanitize, ...tasks.map((task) => task.object)], output);
    console.log(output);
  }
  return true;
}

/** Prints a problem; anything else is a bug and thrown on. */
function report(error, what) {
  if (!(error instanceof BuildProblem)) throw error;
  console.error(`${what} not built: ${error.message}`);
}

async function main() {
  const options = process.argv.slice(2);
  const optionValue = (name) => options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1);
  const sanitize = optionValue('--sanitize');
  const isStrict = options.includes('--required') || options.includes('--check') || sanitize !== undefined;
  try {
    if (process.platform === 'win32') {
      throw new BuildProblem('native code is not built on Windows', 'Use WSL for native training.');
    }
    if (sanitize !== undefined) return (await buildTests(sanitize, optionValue('--only'))) ? 0 : 1;
    const isDone = options.includes('--check') ? checkAll() : await buildAll();
    return isDone || !isStrict ? 0 : 1;
  } catch (error) {
    report(error, 'native addon');
    return isStrict ? 1 : 0;
  }
}

process.exitCode = await main();
