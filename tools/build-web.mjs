/**
 * What `tsc` leaves undone of dist/: the engine's WebAssembly beside the code that loads it, and `bnn-toolchain/web` as one file that a
 * browser loads as it is.
 */

import { copyFileSync, cpSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

for (const [from, to] of [
  ['src/engine/engine', 'dist/engine'],
  ['src/engine/engine', 'dist/web'],
  ['src/backends/wasm/training', 'dist/backends/wasm'],
]) {
  mkdirSync(join(root, to), { recursive: true });
  for (const suffix of ['.wasm', '-threads.wasm']) {
    copyFileSync(join(root, from + suffix), join(root, to, basename(from) + suffix));
  }
}
for (const folder of ['site', 'bench']) {
  cpSync(join(root, 'src/web', folder), join(root, 'dist/web', folder), { recursive: true });
}
await build({
  entryPoints: [join(root, 'src/web/index.ts')],
  outfile: join(root, 'dist/web/index.js'),
  bundle: true,
  alias: { 'protobufjs/minimal.js': join(root, 'tools/protobuf-reader.mjs') },
  minify: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  legalComments: 'none',
  logLevel: 'warning',
});
