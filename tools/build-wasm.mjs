/**
 * Compiles the kernels to WebAssembly with clang (see MODULES), each module with and without threads. The results are committed, so that
 * nobody who installs needs a compiler for them. `--check` compiles anew and compares the bytes.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../native/', import.meta.url));
const project = fileURLToPath(new URL('../', import.meta.url));

const ENGINE = [
  'kernels/binarize/binarize_wasm.cc',
  'kernels/binary_conv/binary_conv.cc',
  'kernels/binary_conv/conv_shape.cc',
  'kernels/binary_conv/dispatch.cc',
  'kernels/binary_conv/pack_filter.cc',
  'kernels/binary_conv/prepare.cc',
  'kernels/binary_conv/tile_wasm.cc',
  'kernels/binary_gemm/binary_gemm.cc',
  'kernels/binary_weight/binary_weight.cc',
  'kernels/binary_weight/float_tile.isa.cc',
  'kernels/binary_weight/winograd.cc',
  'kernels/binary_weight/winograd.isa.cc',
  'kernels/stem_conv/stem_conv.cc',
  'kernels/stem_conv/stem_conv.isa.cc',
  'memory/scratch_pool.cc',
  'simd/isa.cc',
  'wasm/engine.cc',
  'wasm/planes.cc',
  'wasm/system.cc',
];

const kernels = (folder, ...files) => files.map((file) => `kernels/${folder}/${file}.cc`);
const TRAINING = [
  ...['kernels/binarize/binarize_wasm.cc', 'kernels/copy/copy.cc', 'simd/isa.cc', 'memory/scratch_pool.cc'],
  'threading/scratch_blocks.cc',
  ...kernels('binary_conv', 'binary_conv', 'conv_shape', 'dispatch', 'pack_filter', 'prepare', 'tile_wasm'),
  ...kernels('conv2d', 'bf16', 'bit_conv2d', 'chunk.isa', 'conv2d', 'panel', 'windows', 'winograd', 'winograd.isa'),
  ...kernels('batch_norm', 'batch_norm', 'batch_norm.isa'),
  ...kernels('depthwise', 'depthwise', 'depthwise.isa'),
  ...kernels('elementwise', 'elementwise', 'elementwise.isa', 'slope_table', 'slope_table.isa'),
  ...kernels('optimizer', 'optimizer', 'optimizer.isa'),
  ...kernels('pooling', 'pooling', 'pooling.isa'),
  ...['batch_norm', 'convolutions', 'elementwise', 'movement', 'sign_gradients'].map((file) => `node/${file}.cc`),
  ...['training', 'system'].map((file) => `wasm/${file}.cc`),
];

/** Memory of the training module is fixed, so that views of it stay valid; the system gives it page by page as it is touched. */
const MODULES = [
  { target: 'src/engine/engine', sources: ENGINE, memory: { initial: 2 ** 20, most: 2 ** 32 } },
  { target: 'src/backends/wasm/training', sources: TRAINING, memory: { initial: 2 ** 31, most: 2 ** 31 } },
];

/** The libraries are built without threads: `shared_heap.cc` locks what they do not, and the linker is told that they may be linked. */
const THREADS = {
  suffix: '-threads.wasm',
  sources: ['wasm/shared_heap.cc', 'wasm/thread_pool.cc'],
  flags: ['-matomics', '-ftls-model=local-exec'],
  link: ['-Wl,--shared-memory', '-Wl,--import-memory', '-Wl,--no-check-features'],
};
const ONE_THREAD = { suffix: '.wasm', sources: ['wasm/serial_pool.cc'], flags: [], link: [] };

const FLAGS = [
  '--target=wasm32-wasi',
  '-std=c++17',
  '-O3',
  '-msimd128',
  '-mbulk-memory',
  '-fno-exceptions',
  '-fno-rtti',
  '-ffp-contract=fast',
  '-fno-math-errno',
  '-fno-trapping-math',
  '-ffunction-sections',
  '-fdata-sections',
  '-fvisibility=hidden',
  '-ffile-prefix-map=.=',
  '-Wall',
  '-Wextra',
  '-Iwasm/shim',
  '-I.',
];
/** A vector has the 128 bits of WebAssembly's, which clang makes of vector extensions: no instruction set of its own is needed. */
const ISA_FLAGS = ['-DBNN_ISA=scalar', '-DBNN_VECTOR_FLOATS=4'];

const LINK = [
  '-mexec-model=reactor',
  '-Wl,--gc-sections',
  '-Wl,--strip-all',
  '-Wl,--export=__stack_pointer',
  '-Wl,-z,stack-size=262144',
];

function run(args) {
  const { status, stderr, error } = spawnSync('clang++', args, { cwd: root, encoding: 'utf8' });
  if (error !== undefined) {
    console.error(`build-wasm: cannot start clang++ (${error.message}).`);
    console.error('Debian: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32 libc++-14-dev-wasm32');
    process.exit(1);
  }
  if (stderr !== '') console.error(stderr);
  if (status !== 0) process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), 'bnn-wasm-'));

function compile(source, variant) {
  const object = join(folder, `${source.replaceAll('/', '-')}${variant.suffix}.o`);
  if (existsSync(object)) return object;
  const isa = source.endsWith('.isa.cc') ? ISA_FLAGS : [];
  run([...FLAGS, ...variant.flags, ...isa, '-c', source, '-o', object]);
  return object;
}

function link({ sources, memory }, variant) {
  const objects = [...sources, ...variant.sources].map((source) => compile(source, variant));
  const made = join(folder, 'made.wasm');
  const sizes = [`-Wl,--initial-memory=${memory.initial}`, `-Wl,--max-memory=${memory.most}`];
  run([...FLAGS, ...LINK, ...variant.link, ...sizes, ...objects, '-o', made]);
  return readFileSync(made);
}

try {
  for (const module of MODULES) {
    for (const variant of [ONE_THREAD, THREADS]) {
      const bytes = link(module, variant);
      const target = module.target + variant.suffix;
      const path = join(project, target);
      if (!process.argv.includes('--check')) {
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, bytes);
        console.log(`wrote ${target}, ${bytes.length} bytes`);
      } else if (!existsSync(path) || !bytes.equals(readFileSync(path))) {
        console.error(
          `build-wasm: ${target} is not what the sources give: run node tools/build-wasm.mjs and commit it`,
        );
        process.exitCode = 1;
      }
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
