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
for (const folder of ['site', 'bench', 'train-site']) {
  const filter = (path) => folder === 'bench' || !path.endsWith('.js');
  cpSync(join(root, 'src/web', folder), join(dist, 'web', folder), { recursive: true, filter });
}
// What the script of a page imports becomes part of it, but for the runtime beside it; it stays readable.
for (const page of ['web/site/page.js', 'web/train-site/page.js']) {
  await build({
    entryPoints: [join(root, 'src', page)],
    outfile: join(dist, page),
    bundle: true,
    format: 'esm',
    target: 'es2022',
    external: ['./bnn-web.js'],
    logLevel: 'warning',
  });
}
/** Modules that browsers lack, which are imported where they are not used. */
const NODE_MODULES = ['util', 'crypto'];

for (const { entry, out, more } of [
  {
    entry: 'src/web/index.ts',
    out: 'web/index.js',
    more: { alias: { 'protobufjs/minimal.js': join(root, 'tools/protobuf-reader.mjs') } },
  },
  { entry: 'src/web/train/worker.ts', out: 'web/train/worker.js', more: { external: NODE_MODULES } },
]) {
  await build({
    entryPoints: [join(root, entry)],
    outfile: join(dist, out),
    ...more,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    legalComments: 'none',
    logLevel: 'warning',
  });
}
