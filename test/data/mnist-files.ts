/** The embedded MNIST for tests that read it by themselves, decompressed; they must not use the code that they judge. */

import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';

export async function readMnist(name: string): Promise<Buffer> {
  return gunzipSync(await readFile(new URL(`../../packages/mnist/data/${name}.gz`, import.meta.url)));
}
