/**
 * What `tsc` leaves undone of dist/: the engine's WebAssembly beside the code that loads it, and `bnn-toolchain/web` as one file that a
 * browser loads as it is.
 */

import { copyFileSync, cpSync, mkdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
/** dist/, or --out=FOLDER. */
const dist = resolve(root, process.argv.find((text) => text.startsWith('--out='))?.slice('--out='.length) ?? 'dist');

for (const [from, to] of [
  ['src/engine/engine', 'engine'],
  ['src/engine/engine', 'web'],
  ['src/backends/wasm/training', 'backends/wasm'],
]) {
  mkdirSync(join(dist, to), { recursive: true });
  for (const suffix of ['.wasm', '-threads.wasm']) {
    copyFileSync(join(root, from + suffix), join(dist, to, basename(from) + suffix));
  }
}
for (const folder of ['site', 'bench']) {
  cpSync(join(root, 'src/web', folder), join(dist, 'web', folder), { recursive: true });
}
await build({
  entryPoints: [join(root, 'src/web/index.ts')],
  outfile: join(dist, 'web/index.js'),
  bundle: true,
  alias: { 'protobufjs/minimal.js': join(root, 'tools/protobuf-reader.mjs') },
  minify: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  legalComments: 'none',
  logLevel: 'warning',
});
