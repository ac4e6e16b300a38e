/**
 * What the native libraries are made of and with which flags, for any system and processor: the one table behind
 * tools/build-native.mjs (this machine, its own compiler) and tools/release.mjs (every platform, zig). Node's own modules only.
 *
 * Only files of an instruction set get its flags: the others must run on any processor, which then chooses at run time. A `.isa.cc` is
 * compiled once for each.
 */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const source = join(root, 'native');

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
    avx512vpopcntdq: { flags: [...AVX512, '-mavx512vpopcntdq', '-mavx512vnni', '-mpopcnt'] },
    avx512bf16: { flags: [...AVX512, '-mavx512bf16'] },
  },
  arm64: {
    scalar: { flags: [], floats: 4 },
    neon: { flags: [], floats: 4 },
    neonbf16: { flags: ['-mcpu=generic+bf16'] },
  },
  wasm32: {
    wasm: { flags: [] },
  },
};
const NO_INSTRUCTION_SETS = { scalar: { flags: [], floats: 4 } };
const ISA_NAMES = [...new Set(Object.values(INSTRUCTION_SETS).flatMap(Object.keys))];
const ISA_SUFFIX = new RegExp(`_(${ISA_NAMES.join('|')})\\.cc$`);
const ISA_SOURCE = /\.isa\.cc$/;

/** Names of the instruction sets that there are kernels for on a processor, worst first. */
export function instructionSets(arch) {
  return Object.keys(INSTRUCTION_SETS[arch] ?? NO_INSTRUCTION_SETS);
}

// No -ffast-math: NaN must pass through and ±1 sums must stay exact. Contraction to fused multiply-add is wanted everywhere.
const FLAGS = [
  ...['-std=c++17', '-pthread', '-fvisibility=hidden'],
  ...['-fno-math-errno', '-fno-trapping-math', '-ffp-contract=fast'],
  ...['-Wall', '-Wextra', '-Wno-psabi'],
];

/** Flags of every file; all code of Windows may lie anywhere. */
export function commonFlags(system) {
  return system === 'win32' ? FLAGS : [...FLAGS, '-fPIC'];
}

/** Packed layers must give what their function body gives in stock onnxruntime: each operation rounded by itself. */
const EXACT_FILES = /^kernels[\\/](binarize|binary_conv|binary_gemm|int8_conv)[\\/]/;
const EXACT_FLAGS = ['-ffp-contract=off'];

/**
 * Any x64 processor multiplies and adds in two steps, any arm64 one in one: where it may not, either trains to the same bits with
 * BNN_KERNEL=scalar.
 */
function isExact(path, arch, isa = 'scalar') {
  return EXACT_FILES.test(path) || (arch === 'arm64' && isa === 'scalar');
}

/** The addons: on Windows the headers of Node-API declare its functions as imported then. */
const ADDON_FILES = /^node(_ort)?[\\/]/;
const ADDON_FLAGS = ['-DBUILDING_NODE_EXTENSION'];

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
const OPERATOR_FOLDERS = [
  ...['ort', 'simd', 'memory'],
  ...['binarize', 'binary_conv', 'binary_gemm', 'binary_weight', 'chain', 'float_conv', 'int8_conv', 'stem_conv'].map(
    (name) => `kernels/${name}`,
  ),
];

/** The folders that a test program is linked with; programs not named here get all kernels. */
const TEST_FOLDERS = { conv2d_test: TRAINING_KERNELS, kernels_test: TRAINING_KERNELS };
const ALL_KERNELS = ['simd', 'threading', 'memory', 'kernels'];
export function testFolders(program) {
  return TEST_FOLDERS[program] ?? ALL_KERNELS;
}

/** Nothing else is seen from outside, the C++ library in it least of all: several may be in one process. */
function exported(folder) {
  return `-Wl,--version-script=${join(source, folder, 'exports.map')}`;
}

/**
 * By system: how an addon and the operator library are linked, the latter's name, and what it takes beside the folders of all systems.
 * nodelete: worker threads of the addon outlive a JavaScript worker that loaded it, and onnxruntime's sessions keep pointers into the
 * library.
 */
const SYSTEMS = {
  linux: {
    addon: ['-shared', '-Wl,-z,nodelete', '-ldl', exported('node')],
    library: ['-shared', '-Wl,-z,nodelete', exported('ort')],
    operators: 'libbnn_ops.so',
  },
  darwin: {
    addon: [
      ...['-bundle', '-undefined', 'dynamic_lookup'],
      ...['-Wl,-exported_symbol,_napi_register_module_v1', '-Wl,-exported_symbol,_node_api_module_get_api_version_v1'],
    ],
    library: [
      ...['-dynamiclib', '-Wl,-install_name,@rpath/libbnn_ops.dylib'],
      '-Wl,-exported_symbol,_RegisterCustomOps',
    ],
    operators: 'libbnn_ops.dylib',
  },
  win32: {
    addon: ['-shared'],
    library: ['-shared'],
    operators: 'bnn_ops.dll',
    addonFiles: ['windows/node_api.cc', 'windows/stay_loaded.cc'],
    libraryFiles: ['windows/stay_loaded.cc'],
  },
};

/** What is built for a system: files, each from all `.cc` files of some folders and some single ones. */
export function librariesOf(system) {
  const { addon, library, operators, addonFiles = [], libraryFiles = [] } = SYSTEMS[system] ?? SYSTEMS.linux;
  return [
    { file: 'bnn_native.node', folders: ['node', ...TRAINING_KERNELS], files: addonFiles, link: addon },
    { file: operators, folders: OPERATOR_FOLDERS, files: libraryFiles, link: library },
    { file: 'bnn_ort.node', folders: ['node_ort', 'simd'], files: addonFiles, link: addon },
  ];
}

/** The npm package with the headers of Node-API; undefined when it is not installed. */
export function findNodeApi() {
  const require = createRequire(import.meta.url);
  try {
    const { include_dir: include, symbols } = require('node-api-headers');
    return {
      include: unpacked(include),
      functions: Object.values(symbols).flatMap((lists) => Object.values(lists).flat()),
    };
  } catch {
    return undefined;
  }
}

/** A folder that a compiler can read: Yarn's Plug'n'Play keeps packages in archives, which only Node sees into. */
function unpacked(folder) {
  if (!/\.zip[\\/]/.test(folder)) return folder;
  const target = join(process.env.BNN_BUILD_FOLDER || join(root, 'build'), 'headers');
  mkdirSync(target, { recursive: true });
  for (const name of readdirSync(folder)) {
    if (name.endsWith('.h')) writeFileSync(join(target, name), readFileSync(join(folder, name)));
  }
  return target;
}

/** node_api_functions.h of native/windows/node_api.cc: every function of Node-API. */
export function nodeApiFunctions({ functions }) {
  return [...new Set(functions)]
    .sort()
    .map((name) => `BNN_POINTER(${name})\n`)
    .join('');
}

function listFiles(folder, accept) {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter(accept)
    .sort();
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

/** One hash of all native sources of the libraries: two libraries with the same were compiled from the same. */
export function sourcesHash() {
  const accept = (name) => /\.(cc|h|map)$/.test(name) && !/^(wasm|test|mpi)[\\/]/.test(relative(source, name));
  const hash = createHash('sha256');
  for (const file of listFiles(source, accept)) {
    hash.update(`${relative(source, file).replaceAll('\\', '/')}\n`).update(readFileSync(file));
  }
  return hash.digest('hex');
}

/** What a file is compiled with, once for each instruction set that it is for. */
function compilationsOf(file, arch) {
  const sets = INSTRUCTION_SETS[arch] ?? NO_INSTRUCTION_SETS;
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

/**
 * The objects of some folders and files: the command that makes each, and a hash of all that it depends on.
 *
 * `target` is {system, arch}; `compiler` {command, args, version}; `include` folders of headers that are not ours.
 */
export function planObjects(target, compiler, { folders, files = [], objects, flags, include }) {
  const common = commonFlags(target.system);
  return folders
    .flatMap((folder) => listFiles(join(source, folder), (name) => name.endsWith('.cc')))
    .concat(files.map((file) => join(source, file)))
    .flatMap((file) => compilationsOf(file, target.arch).map((compilation) => ({ file, ...compilation })))
    .map(({ file, isa, flags: isaFlags }) => {
      const path = relative(source, file);
      const name = isa === undefined ? path : `${path}-${isa}`;
      const exact = isExact(path, target.arch, isa) ? EXACT_FLAGS : [];
      const addon = target.system === 'win32' && ADDON_FILES.test(path) ? ADDON_FLAGS : [];
      const args = [...compiler.args, ...common, ...exact, ...addon, ...flags, ...isaFlags, `-I${source}`];
      for (const folder of include) args.push(`-isystem${folder}`);
      const hash = createHash('sha256')
        .update(JSON.stringify([compiler.version, compiler.command, args, contentHash(file)]))
        .digest('hex');
      return { name, file, args, hash, object: join(objects, `${name.replaceAll(/[\\/]/g, '-')}.o`) };
    });
}
