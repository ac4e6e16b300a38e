import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import sharp from 'sharp';
import { type Framing, framePicture } from '../../src/core/pictures/frame-picture.ts';
import type { FileSplit } from '../../src/data/dataset.ts';
import { decodeImage } from '../../src/data/pictures/decode-image.ts';
import { pictureName } from '../../src/data/pictures/picture-source.ts';

/** RGB pixels without a pattern that resizing could hide. */
export function noise(width: number, height: number, channels = 3): Buffer {
  return Buffer.from(Uint8Array.from({ length: width * height * channels }, (_, i) => (i * 2654435761) >>> 23));
}

export async function writePicture(path: string, width = 8, height = 8): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await sharp(noise(width, height), { raw: { width, height, channels: 3 } }).toFile(path);
}

export function filesOf({ pictures, count }: FileSplit): string[] {
  return Array.from({ length: count }, (_, i) => pictureName(pictures, i));
}

export async function decodeFile(path: string, frame: (width: number, height: number) => Framing): Promise<Uint8Array> {
  return decodeImage(await readFile(path), path, frame);
}

export function decodeMiddle(path: string, shorterSide: number, size: number): Promise<Uint8Array> {
  return decodeFile(path, (width, height) =>
    framePicture(width, height, { width: size, height: size, fit: 'crop', shorterSide }),
  );
}
