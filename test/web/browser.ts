/** A browser, a small packed model and its pictures, for tests of what runs in a page. */

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { encodePreprocessing, PREPROCESSING_KEY, type Preprocessing } from '../../src/core/pictures/preprocessing.ts';
import { EngineSession } from '../../src/engine/engine-session.ts';
import { loadEngineModule } from '../../src/engine/load-engine-io.ts';
import { type Guess, guessesOf, type Pixels, pictureInputOf, prepare } from '../../src/engine/picture-input.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { findChromium } from '../../src/tasks/chromium-io.ts';
import { buildModel } from '../../src/zoo/zoo.ts';

const DIST = fileURLToPath(new URL('../../dist/web/', import.meta.url));

function reasonToSkip(): string | undefined {
  if (findChromium() === undefined) return 'Chromium is not installed';
  return existsSync(`${DIST}index.js`) ? undefined : 'dist/web is not built: npm run build';
}

export const missingBrowser = reasonToSkip();

export function webFile(name: string): Uint8Array {
  return readFileSync(DIST + name);
}

export const PREPROCESSING: Preprocessing = {
  dataset: 'test',
  picture: null,
  mean: [0.4, 0.5, 0.6],
  std: [0.2, 0.25, 0.3],
  classes: ['apple', 'a name that is long enough to be wrapped on the screen of a telephone', 'cherry', 'date'],
};
/** Of the pictures that the model takes. */
export const SIZE = 16;

export function smallModel(seed = 3, preprocessing: Preprocessing | null = PREPROCESSING): Uint8Array {
  const options = { classes: 4, channels: 3, imageSize: SIZE, seed };
  const { model } = lowerToPacked(buildModel('binarynet-mini', options));
  if (preprocessing !== null) model.metadata.set(PREPROCESSING_KEY, encodePreprocessing(preprocessing));
  return encodeModel(model);
}

/** RGBA: slopes and stripes, another picture for each seed. */
export function somePixels(width: number, height: number, seed: number): Pixels & { readonly data: Uint8ClampedArray } {
  const data = new Uint8ClampedArray(4 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 4 * (y * width + x);
      const stripes = ((x * (seed + 1)) >> 2) & 1 ? 200 : 40;
      data.set([(255 * x) / width, (stripes * (1 + seed)) % 256, (255 * y) / height, 255], at);
    }
  }
  return { width, height, data };
}

export function encodePicture({ width, height, data }: Pixels & { readonly data: Uint8ClampedArray }): Promise<Buffer> {
  return sharp(data, { raw: { width, height, channels: 4 } })
    .png()
    .toBuffer();
}

/** What the engine says of the same pixels in Node. */
export async function classifyInNode(model: Uint8Array, pixels: Pixels): Promise<Guess[]> {
  const session = await EngineSession.create(await loadEngineModule(), model);
  const input = pictureInputOf(session.inputs[0]!);
  const { data } = session.run(prepare(pixels, input, PREPROCESSING), [1, 3, SIZE, SIZE]);
  session.dispose();
  return guessesOf(data, session.outputFormOf(data.length), PREPROCESSING.classes, 4);
}
