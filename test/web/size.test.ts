/** What a page downloads to run a packed model. */

import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { webFile } from './browser.ts';

const MOST_BYTES = 120_000;

it('the runtime is small', () => {
  const sizes = ['index.js', 'engine.wasm'].map((name) => gzipSync(webFile(name), { level: 9 }).length);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  process.stdout.write(
    `runtime for browsers: ${total} bytes gzipped (JavaScript ${sizes[0]}, WebAssembly ${sizes[1]})\n`,
  );
  expect(total).toBeLessThanOrEqual(MOST_BYTES);
});

it('loads nothing else, and holds nothing that a browser lacks', () => {
  const text = Buffer.from(webFile('index.js')).toString();
  expect(text.match(/\bimport\s*[{*"']|\bimport\(|["']node:|\beval\(|new Function\(/)).toBeNull();
  // What writes files stays out.
  expect(text.includes('.ldelim()')).toBe(false);
});
