/**
 * Compiles the kernels to WebAssembly with clang: `src/engine/engine.wasm`, which is committed, so that nobody who installs needs a
 * compiler for it. `--check` compiles anew and compares the bytes.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../native/', import.meta.url));
const target = fileURLToPath(new URL('../src/engine/engine.wasm', import.meta.url));

const SOURCES = [
  'kernels/binarize/binarize_scalar.cc',
  'kernels/binary_conv/binary_conv.cc',
  'kernels/binary_conv/conv_shape.cc',
  'kernels/binary_conv/dispatch.cc',
  'kernels/binary_conv/pack_filter.cc',
  'kernels/binary_conv/prepare.cc',
  'kernels/binary_conv/tile_scalar.cc',
  'kernels/binary_gemm/binary_gemm.cc',
  'kernels/binary_weight/binary_weight.cc',
  'kernels/binary_weight/float_tile.isa.cc',
  'kernels/binary_weight/winograd.cc',
  'kernels/binary_weight/winograd.isa.cc',
  'memory/scratch_pool.cc',
  'simd/isa.cc',
  'wasm/engine.cc',
  'wasm/planes.cc',
  'wasm/serial_pool.cc',
  'wasm/system.cc',
];

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
  '-I.',
];
/** A vector has the 128 bits of WebAssembly's, which clang makes of vector extensions: no instruction set of its own is needed. */
const ISA_FLAGS = ['-DBNN_ISA=scalar', '-DBNN_VECTOR_FLOATS=4'];

const LINK = [
  '-mexec-model=reactor',
  '-Wl,--gc-sections',
  '-Wl,--strip-all',
  '-Wl,--initial-memory=1048576',
  '-Wl,--max-memory=4294967296',
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
try {
  const objects = SOURCES.map((source) => {
    const object = join(folder, `${source.replaceAll('/', '-')}.o`);
    run([...FLAGS, ...(source.endsWith('.isa.cc') ? ISA_FLAGS : []), '-c', source, '-o', object]);
    return object;
  });
  const made = join(folder, 'engine.wasm');
  run([...FLAGS, ...LINK, ...objects, '-o', made]);
  const bytes = readFileSync(made);
  if (!process.argv.includes('--check')) {
    writeFileSync(target, bytes);
    console.log(`wrote ${target}, ${bytes.length} bytes`);
  } else if (!bytes.equals(readFileSync(target))) {
    console.error(
      'build-wasm: src/engine/engine.wasm is not what the sources give: run node tools/build-wasm.mjs and commit it',
    );
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
