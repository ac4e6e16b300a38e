/** Small files that become large pictures, and files that are no pictures. */

import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { framePicture } from '../../../src/core/pictures/frame-picture.ts';
import { pictureFrame, wholeFrame } from '../../../src/core/pictures/preprocessing.ts';
import { decodeImage } from '../../../src/data/pictures/decode-image.ts';
import { formatOf } from '../../../src/data/pictures/picture-format.ts';
import { noise } from '../pictures.ts';

const decode = (bytes: Uint8Array) =>
  decodeImage(bytes, 'x', (width, height) => framePicture(width, height, pictureFrame(16, 16, 'crop')));

function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const [length, crc] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  crc.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, crc]);
}

/** A grey PNG (ISO/IEC 15948) of one bit a pixel, interlaced, of which nothing but zeros is stored. */
function bitPng(width: number, height: number, storedBytes: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([1, 0, 0, 0, 1], 8);
  const data = deflateSync(Buffer.alloc(storedBytes), { level: 9 });
  const parts = [chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...parts]);
}

/** The header of a baseline JPEG (ITU-T T.81, B.2.2) with nothing behind it. */
function jpegHeader(width: number, height: number): Buffer {
  const frame = [0xff, 0xc0, 0, 17, 8, height >> 8, height & 255, width >> 8, width & 255, 3];
  return Buffer.from([0xff, 0xd8, ...frame, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 0xff, 0xd9]);
}

/** The header of a lossless WebP (RFC 9649). */
function webpHeader(width: number, height: number): Buffer {
  const bits = Buffer.alloc(4);
  bits.writeUInt32LE((((width - 1) | ((height - 1) << 14)) >>> 0) as number);
  const data = Buffer.concat([Buffer.of(0x2f), bits, Buffer.alloc(27)]);
  const size = Buffer.alloc(8);
  size.writeUInt32LE(data.length + 12, 0);
  size.writeUInt32LE(data.length, 4);
  return Buffer.concat([Buffer.from('RIFF'), size.subarray(0, 4), Buffer.from('WEBPVP8L'), size.subarray(4), data]);
}

test.each<[string, Buffer, RegExp]>([
  ['PNG of one bit, interlaced', bitPng(16383, 16383, 40_000_000), /16383×16383 = 268402689 pixels, at most 67108864/],
  ['PNG, header alone', bitPng(999_999, 999_999, 10), /at most 67108864|take \d+ bytes/],
  ['JPEG, header alone', jpegHeader(65_535, 65_535), /65535×65535 = 4294836225 pixels, at most 67108864/],
  ['WebP, header alone', webpHeader(16_383, 16_383), /16383×16383 = 268402689 pixels, at most 67108864/],
  ['PNG too narrow', bitPng(1, 10_000_000, 5_000_000), /too narrow to be resized to 18×180000000/],
])('a %s is refused before it takes memory', async (_, bytes, message) => {
  const before = process.memoryUsage.rss();
  await expect(decode(bytes)).rejects.toMatchObject({
    name: 'BnnError',
    code: 'E_FORMAT',
    at: 'x',
    message: expect.stringMatching(message),
  });
  expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 2 ** 20);
});

test('at the limit a picture is decoded', async () => {
  // Black, one bit a pixel, seven passes; the whole picture lies in memory.
  const pixels = await decode(bitPng(8192, 8192, 8_500_000));
  expect([...new Set(pixels)]).toEqual([0]);
}, 60_000);

/** A TIFF (revision 6.0, little-endian) that says another size: in one strip (tags 256, 257 and 278). */
function withSize(tiff: Buffer, width: number, height: number): Buffer {
  const changed = Buffer.from(tiff);
  const directory = changed.readUInt32LE(4);
  for (let i = 0; i < changed.readUInt16LE(directory); i++) {
    const entry = directory + 2 + 12 * i;
    const tag = changed.readUInt16LE(entry);
    if (tag !== 256 && tag !== 257 && tag !== 278) continue;
    changed.writeUInt16LE(4, entry + 2);
    changed.writeUInt32LE(tag === 256 ? width : height, entry + 8);
  }
  return changed;
}

test('samples of many bytes count, not only pixels', async () => {
  const raw = { width: 64, height: 64, channels: 3 } as const;
  const floats = await sharp(new Float32Array(64 * 64 * 3).fill(0.5), { raw })
    .toColourspace('scrgb')
    .tiff({ compression: 'deflate' })
    .toBuffer();
  expect(await decode(floats)).toHaveLength(16 * 16 * 3);
  await expect(decode(withSize(floats, 8000, 6000))).rejects.toMatchObject({
    code: 'E_FORMAT',
    message:
      'cannot decode the picture: 8000×6000 pixels of 12 bytes take 576000000 bytes, at most 536870912 are decoded',
  });
});

const SVG =
  '<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32"><rect width="32" height="32" fill="red"/></svg>';

test.each<[string, Buffer | string]>([
  ['SVG', SVG],
  ['SVG', `<?xml version="1.0"?>\n${SVG}`],
  ['XML', `<?xml version="1.0"?>${' '.repeat(100)}${SVG}`],
  ['HTML', '<!DOCTYPE html>\n<html>'],
  ['BMP', Buffer.concat([Buffer.from('BM'), Buffer.alloc(60)])],
  ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:0'],
  ['PDF', '%PDF-1.7'],
  ['ZIP', 'PK\x03\x04'],
  ['an empty file', ''],
  ['no picture, or of an unknown format', 'hello'],
])('%s is named, and not decoded', async (name, content) => {
  await expect(decode(Buffer.from(content as string))).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: 'x',
    message: `cannot decode the picture: ${name}, expected JPEG, PNG, WebP, GIF, TIFF, AVIF`,
  });
});

test.each(['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif'] as const)(
  '%s is known by its content and decoded',
  async (name) => {
    const bytes = await sharp(noise(24, 20), { raw: { width: 24, height: 20, channels: 3 } })
      [name]()
      .toBuffer();
    expect(formatOf(bytes)?.toLowerCase()).toBe(name);
    expect(await decode(bytes)).toHaveLength(16 * 16 * 3);
  },
);

test('of an animation the first picture counts; pictures are turned as EXIF says', async () => {
  const frames = Buffer.concat([Buffer.alloc(16 * 16 * 3, 200), Buffer.alloc(16 * 16 * 3, 20)]);
  const raw = { width: 16, height: 32, channels: 3, pageHeight: 16 } as const;
  for (const name of ['gif', 'webp'] as const) {
    const bytes = await sharp(frames, { raw })
      [name]({ delay: [100, 100], ...(name === 'webp' ? { lossless: true } : {}) })
      .toBuffer();
    expect((await sharp(bytes).metadata()).pages).toBe(2);
    const pixels = await decodeImage(bytes, 'x', (width, height) => framePicture(width, height, wholeFrame(16, 16)));
    expect(Math.min(...pixels)).toBeGreaterThan(190);
  }
  // Orientation 6: the first row is shown at the right, the first column at the top.
  const pixels = noise(24, 24);
  const encoded = (orientation: number) =>
    sharp(pixels, { raw: { width: 24, height: 24, channels: 3 } })
      .withMetadata({ orientation })
      .png()
      .toBuffer();
  const whole = (bytes: Buffer) =>
    decodeImage(bytes, 'x', (width, height) => framePicture(width, height, wholeFrame(24, 24)));
  const [plain, turned] = await Promise.all([whole(await encoded(1)), whole(await encoded(6))]);
  const at = (image: ArrayLike<number>, row: number, column: number) =>
    [0, 1, 2].map((c) => image[3 * (24 * row + column) + c]);
  for (const [row, column] of [
    [0, 0],
    [3, 17],
    [23, 5],
  ] as const) {
    expect(at(turned, column, 23 - row)).toEqual(at(plain, row, column));
  }
});
