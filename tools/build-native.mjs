/**
 * Builds the native libraries (tools/native-plan.mjs) in build/ with the C++ compiler of the machine.
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
 * enough. This is plain JavaScript on Node's own modules because `bnn setup native` runs it where there are no devDependencies.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { BuildProblem, compileAll, link, linkStamp, readManifest, writeManifest } from './native-compile.mjs';
import { findNodeApi, librariesOf, nodeApiFunctions, planObjects, root, testFolders } from './native-plan.mjs';

/** Where the package cannot be written, `bnn setup native` names another folder. */
const buildFolder = process.env.BNN_BUILD_FOLDER || join(root, 'build');
const objects = join(buildFolder, 'native');

/** What is compiled for: this machine, unless told. */
const machine = {
  system: process.platform,
  arch: process.argv.find((option) => option.startsWith('--arch='))?.slice('--arch='.length) ?? process.arch,
};

function findCompiler() {
  // Microsoft's compiler has no vector extensions, and GCC for Windows does not align vectors on the stack.
  const isWindows = process.platform === 'win32';
  const candidates = process.env.CXX ? [process.env.CXX] : isWindows ? ['zig c++'] : ['c++', 'g++', 'clang++'];
  for (const candidate of candidates) {
    const [command, ...args] = candidate.trim().split(/\s+/);
    const result = spawnSync(command, [...args, '--version'], { encoding: 'utf8' });
    if (result.status === 0) return { command, args, version: result.stdout.split('\n')[0] };
  }
  const howTo = isWindows
    ? 'zig from ziglang.org, on PATH'
    : 'Debian, Ubuntu: apt-get install g++; macOS: xcode-select --install';
  throw new BuildProblem(
    `no C++ compiler (${candidates.join(', ')}) was found`,
    `Install one (${howTo}), then run: bnn setup native`,
  );
}

function requireNodeApi() {
  const found = findNodeApi();
  if (found !== undefined) return found;
  throw new BuildProblem('the npm package node-api-headers is not installed', 'Run: npm install');
}

function planLibrary({ folders, files }, compiler, nodeApi) {
  const include = [nodeApi.include, ...(machine.system === 'win32' ? [objects] : [])];
  return planObjects(machine, compiler, { folders, files, objects, flags: ['-O3'], include });
}

/** Builds one library when it is not up to date. */
async function buildLibrary(library, compiler, nodeApi) {
  const output = join(buildFolder, library.file);
  const tasks = planLibrary(library, compiler, nodeApi);
  const stamp = linkStamp(library.link, tasks);
  if (existsSync(output) && readManifest(objects)[library.file] === stamp) {
    // What loads it takes it for older than its sources otherwise.
    utimesSync(output, new Date(), new Date());
    return;
  }
  const start = performance.now();
  const compiled = await compileAll(tasks, compiler, objects);
  await link(compiler, ['-pthread', ...tasks.map((task) => task.object), ...library.link], output);
  writeManifest(objects, { [library.file]: stamp });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.error(
    `built build/${library.file}: ${compiled} of ${tasks.length} files compiled, ${seconds} s, ${compiler.version}`,
  );
}

/** Builds everything; a library that fails does not stop the others. Returns whether all were built. */
async function buildAll() {
  const compiler = findCompiler();
  const nodeApi = requireNodeApi();
  if (machine.system === 'win32') {
    mkdirSync(objects, { recursive: true });
    writeFileSync(join(objects, 'node_api_functions.h'), nodeApiFunctions(nodeApi));
  }
  let isComplete = true;
  for (const library of librariesOf(machine.system)) {
    try {
      await buildLibrary(library, compiler, nodeApi);
    } catch (error) {
      report(error, `build/${library.file}`);
      isComplete = false;
    }
  }
  return isComplete;
}

/** Prints for each library whether it is up to date. */
function checkAll() {
  const compiler = findCompiler();
  const nodeApi = requireNodeApi();
  const manifest = readManifest(objects);
  const states = librariesOf(machine.system).map((library) => {
    const stamp = linkStamp(library.link, planLibrary(library, compiler, nodeApi));
    const isUpToDate = existsSync(join(buildFolder, library.file)) && manifest[library.file] === stamp;
    console.log(
      `build/${library.file} is ${isUpToDate ? 'up to date' : 'not up to date; run: node tools/build-native.mjs'}`,
    );
    return isUpToDate;
  });
  return states.every(Boolean);
}

/**
 * Builds the test programs and prints their paths. Without sanitizers, and for this machine, they are linked with the objects of the
 * libraries: what is tested is what is loaded.
 */
async function buildTests(sanitizers, only) {
  const compiler = findCompiler();
  const isPlain = sanitizers === 'none';
  const folder = join(root, 'build', `native-test-${machine.arch}-${sanitizers.replaceAll(',', '-')}`);
  const sanitize = isPlain ? [] : [`-fsanitize=${sanitizers}`];
  const flags = isPlain ? ['-O2'] : ['-O1', '-g1', ...sanitize, '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'];
  const plan = (folders) => planObjects(machine, compiler, { folders, objects: folder, flags, include: [] });
  const isLoaded = isPlain && machine.arch === process.arch;
  for (const program of plan(['test'])) {
    const name = basename(program.name, '.cc');
    if (only !== undefined && !only.split(',').includes(name)) continue;
    const folders = testFolders(name);
    const tested = isLoaded ? planLibrary({ folders }, compiler, requireNodeApi()) : plan(folders);
    await compileAll(tested, compiler, isLoaded ? objects : folder);
    await compileAll([program], compiler, folder);
    const output = join(folder, name);
    await link(compiler, ['-pthread', ...sanitize, ...[program, ...tested].map((task) => task.object)], output);
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
    if (sanitize !== undefined) return (await buildTests(sanitize, optionValue('--only'))) ? 0 : 1;
    const isDone = options.includes('--check') ? checkAll() : await buildAll();
    return isDone || !isStrict ? 0 : 1;
  } catch (error) {
    report(error, 'native addon');
    return isStrict ? 1 : 0;
  }
}

process.exitCode = await main();
