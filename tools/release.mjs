/**
 * Makes what is published, from this checkout, into release/ (or --out=FOLDER):
 *
 *     node tools/release.mjs [--out=FOLDER] [--only=linux-x64,win32-x64] [--platforms-only]
 *
 *     bnn-toolchain-<platform>-<version>.tgz    one for each platform: addon, sessions of onnxruntime, operator library
 *     bnn-toolchain-<version>.tgz, …            the main package, which names them as optional dependencies, and those that it needs
 *     packages/<platform>/                      the first ones, unpacked
 *     manifest.json                             sizes and digests of everything, the compiler's digest, whether the WebAssembly is what
 *                                               the sources give
 *
 * Runs on Debian x64 with LLVM 14 (packages clang, lld) and the npm registry; docs/release.md. The same checkout gives the same bytes.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { instructionSets, root, sourcesHash } from './native-plan.mjs';
import { buildPlatform, flagsOf, PLATFORMS, ZIG } from './release-platforms.mjs';
import { pack } from './stage-packages.mjs';

const packageName = (platform) => `@bnn-toolchain/${platform.name}`;
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));
const writeJson = (path, value) => writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`);
const main = readJson(join(root, 'package.json'));

function digest(path) {
  const bytes = readFileSync(path);
  return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** The package of a platform: its folder, filled, and its archive. */
async function makePlatformPackage(platform, out) {
  const folder = join(out, 'packages', platform.name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const libraries = await buildPlatform(platform, folder);
  writeJson(join(folder, 'package.json'), {
    name: packageName(platform),
    version: main.version,
    description: `The native code of bnn-toolchain for ${platform.name}.`,
    license: main.license,
    os: [platform.system],
    cpu: [platform.arch],
    ...(platform.libc === undefined ? {} : { libc: [platform.libc] }),
    engines: main.engines,
    files: [...libraries, 'build.json'],
    preferUnplugged: true,
  });
  writeJson(join(folder, 'build.json'), {
    version: main.version,
    target: platform.target,
    compiler: `zig ${ZIG.version}`,
    flags: flagsOf(platform),
    rows: instructionSets(platform.arch),
    sources: sourcesHash(),
  });
  writeFileSync(
    join(folder, 'README.md'),
    `# ${packageName(platform)}\n\nThe native code of bnn-toolchain ${main.version} for ${platform.name}, which installs it by itself.\n`,
  );
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  const archive = pack(folder, out);
  const files = Object.fromEntries(libraries.map((file) => [file, digest(join(folder, file))]));
  return { name: packageName(platform), archive, files };
}

/** The packages without native code (tools/pack.mjs). */
function makeOtherPackages(out) {
  const args = ['tools/pack.mjs', `--out=${out}`];
  const printed = execFileSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const archives = printed.split('\n').filter((line) => line.endsWith('.tgz'));
  return archives.map((archive) => ({ name: packageNameOf(archive), archive }));
}

/** What the package.json in an archive says. */
function packageNameOf(archive) {
  return JSON.parse(execFileSync('tar', ['xzOf', archive, 'package/package.json'], { encoding: 'utf8' })).name;
}

/** Whether the committed WebAssembly is what its sources give, as far as this machine can tell. */
function checkWebAssembly() {
  const { status, stderr } = spawnSync(process.execPath, ['tools/build-wasm.mjs', '--check'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status === 0) return 'the committed bytes are what the sources give';
  if (!/cannot start/.test(stderr)) throw new Error(stderr.trim());
  return `not compared: ${stderr.trim().split('\n')[0]}`;
}

async function release() {
  const option = (name) => process.argv.find((text) => text.startsWith(`--${name}=`))?.slice(name.length + 3);
  const out = resolve(option('out') ?? join(root, 'release'));
  const only = option('only')?.split(',');
  const unknown = only?.find((name) => !PLATFORMS.some((platform) => platform.name === name));
  if (unknown !== undefined) {
    console.error(`release: no platform ${unknown}; there are ${PLATFORMS.map(({ name }) => name).join(', ')}`);
    process.exit(2);
  }
  mkdirSync(out, { recursive: true });
  const made = [];
  for (const platform of PLATFORMS) {
    if (only !== undefined && !only.includes(platform.name)) continue;
    made.push(await makePlatformPackage(platform, out));
    console.log(describe(made.at(-1)));
  }
  const isWhole = !process.argv.includes('--platforms-only');
  if (isWhole) {
    const others = makeOtherPackages(out);
    made.push(...others);
    for (const other of others) console.log(describe(other));
  }
  const webAssembly = isWhole ? checkWebAssembly() : 'not compared: --platforms-only';
  console.log(`WebAssembly: ${webAssembly}`);
  writeJson(join(out, 'manifest.json'), {
    version: main.version,
    sources: sourcesHash(),
    compiler: ZIG,
    webAssembly,
    packages: made.map(({ name, archive, files }) => ({
      name,
      file: archive.slice(out.length + 1),
      ...digest(archive),
      files,
    })),
  });
}

function describe({ name, archive, files }) {
  const size = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;
  const unpacked = Object.values(files ?? {}).reduce((sum, { bytes }) => sum + bytes, 0);
  return `${name}: ${size(statSync(archive).size)}${unpacked === 0 ? '' : `, unpacked ${size(unpacked)}`}`;
}

if (process.platform !== 'linux' || process.arch !== 'x64' || !existsSync('/usr/bin/ld64.lld-14')) {
  console.error('release: this needs Linux on x64 with LLVM 14. Debian: apt-get install clang lld');
  process.exitCode = 1;
} else {
  await release();
}
