/** Run by `scarce-threads.test.ts` in a process of its own: what works where no thread can be started any more, as one line of JSON. */

import { execFileSync } from 'node:child_process';
import { loadNativeAddon } from '../../../src/backends/native/addon.ts';
import { selectBackend } from '../../../src/backends/select-backend.ts';
import { lowerToPacked } from '../../../src/compiler/lower-to-packed.ts';
import { H5Thread } from '../../../src/convert/keras/h5-thread.ts';
import { Batcher } from '../../../src/data/batches/batches.ts';
import { decodeImage } from '../../../src/data/pictures/decode-image.ts';
import { createNativeSession } from '../../../src/inference/native-session.ts';
import { createSession } from '../../../src/inference/session.ts';
import { encodeModel } from '../../../src/onnx/encode-model.ts';
import { buildModel } from '../../../src/zoo/zoo.ts';

const warnings = [];
process.on('warning', ({ message }) => warnings.push(message));
const errorOf = (work) =>
  work.then(
    () => 'nothing',
    ({ code, message }) => `${code}: ${message}`,
  );

const bytes = encodeModel(lowerToPacked(buildModel('binarynet-mini', { seed: 5 })).model);
async function logits(create, threads) {
  const session = await create(bytes, { threads });
  const { data } = await session.run(new Float32Array(784).fill(0.25), [1, 1, 28, 28]);
  await session.dispose();
  return [...data];
}

/** One pixel. */
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const decode = () => decodeImage(Buffer.from(png, 'base64'), 'picture', () => ({ width: 8, height: 8 }));

function filterGradient() {
  const [x, dy] = [new Float32Array(8 * 1024 * 16), new Float32Array(8 * 1024 * 16)].map((array) =>
    array.map((_, i) => Math.sin(i)),
  );
  const gradient = new Float32Array(9 * 16 * 16);
  loadNativeAddon().value.conv2dFilterGrad(
    x,
    dy,
    gradient,
    Int32Array.of(8, 32, 32, 16, 3, 3, 16, 32, 32, 1, 1, 1, 1, 1, 1, 1, 0),
  );
  return [...gradient];
}

const expected = await logits(createSession, 1);
if (process.argv[2] === 'limited') execFileSync('prlimit', ['--pid', String(process.pid), '--nproc=1:1']);

const { description } = await selectBackend('native', { threads: 3 });
const sessions = [await logits(createSession, 3), await logits(createNativeSession, 3), await logits(createSession, 0)];
const memory = {
  images: new Uint8Array(new SharedArrayBuffer(32 * 784)),
  labels: new Int32Array(new SharedArrayBuffer(4 * 32)),
};
const split = { kind: 'memory', count: 32, height: 28, width: 28, channels: 1, mean: [0], std: [1], ...memory };
const batcher = new Batcher(split, { batchSize: 8, prefetch: 2, workers: 2 });
let batches = 0;
for await (const { count } of batcher.epoch(0)) batches += count / 8;
await batcher.close();
const h5 = new H5Thread();
const answers = [
  await errorOf(h5.read(Uint8Array.of(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a))),
  await errorOf(decode()),
];
await h5.close();
console.log(
  JSON.stringify({ description, expected, sessions, batches, answers, warnings, gradient: filterGradient() }),
);
process.exit(0);
