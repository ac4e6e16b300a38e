/** Encoded pictures to pixels. */

import { setTimeout } from 'node:timers/promises';
import { isOutOfThreads, outOfThreads, sayFewerThreads } from '../../core/machine/scarce-threads.ts';
import type { Box, Framing } from '../../core/pictures/frame-picture.ts';
import { framePixels } from '../../core/pictures/prepare-picture.ts';
import { BnnError } from '../../errors.ts';
import { jpegSize } from './jpeg-size.ts';
import { formatOf, isPictureFormat, PICTURE_FORMATS, type PictureFormat } from './picture-format.ts';

type Sharp = typeof import('sharp')['default'];
type Image = ReturnType<Sharp>;
let library: Promise<Sharp> | undefined;

/** Loaded when it is first needed, so that data sets in memory do without the native library. */
function loadSharp(): Promise<Sharp> {
  library ??= import('sharp').then(({ default: sharp }) => {
    // No picture is decoded twice with the same operations: remembering them would only take memory.
    sharp.cache(false);
    return sharp;
  });
  return library;
}

/** Of a picture, as it is stored. Photographs have up to 50 million; larger ones would take up to a gigabyte to decode. */
export const MOST_PIXELS = 2 ** 26;
/** For the format whose decoder takes 18 bytes a pixel. */
const MOST_PIXELS_AVIF = 2 ** 25;
/** Decoded at full size. */
const MOST_DECODED_BYTES = 2 ** 29;
/** Larger pictures are decoded one after another: all pixels of one are held, and several at once might not fit into the memory. */
const LARGE_PIXELS = 2 ** 22;
/** Of what libvips resizes to. */
const LONGEST_SIDE = 1e8;
const BYTES_PER_SAMPLE: Readonly<Record<string, number>> = {
  uchar: 1,
  char: 1,
  ushort: 2,
  short: 2,
  uint: 4,
  int: 4,
  float: 4,
};
const BYTES_OF_OTHER_SAMPLES = 8;
/** At most: CMYK. */
const JPEG_SAMPLES = { channels: 4, depth: 'uchar' };

/** Tries where libvips gets no thread, and the longest pause between two, in milliseconds. */
const TRIES = 60;
const LONGEST_PAUSE = 100;
/** Tries of a picture that fails without a word, as libvips does for want of threads, but also for some damaged pictures. */
const SILENT_TRIES = 8;
/** Once threads are scarce, any failure may be for want of one: libvips collects messages from all threads. */
let isScarce = false;

/** Runs `decode` again while other pictures hold the threads that it needs. */
async function withThreads<T>(sharp: Sharp, decode: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await decode();
    } catch (error) {
      const cause = error instanceof BnnError ? error.cause : error;
      if (isOutOfThreads(cause) && !isScarce) {
        isScarce = true;
        // Threads of one picture.
        sharp.concurrency(1);
        sayFewerThreads('pictures are decoded on fewer threads');
      }
      const isSilent = cause instanceof Error && cause.message.trim() === 'Unknown error';
      if (tries >= (isScarce ? TRIES : isSilent ? SILENT_TRIES : 1)) {
        throw isOutOfThreads(cause) || (isScarce && isSilent) ? outOfThreads('decoding pictures', error) : error;
      }
      await setTimeout(Math.random() * Math.min(LONGEST_PAUSE, 2 ** tries));
    }
  }
}

/**
 * Decodes a picture to RGB, turns it as its EXIF data say (phones store photographs as the sensor lies, and browsers turn them), and
 * frames it (bilinear with antialiasing). Colour profiles and transparency are ignored, as in torchvision. Of an animation, the first
 * picture counts.
 *
 * What is cut out of the original, for training at random, is resized by libvips where it becomes smaller: faster, and a little
 * different. All else is resized by `core/pictures/resize.ts`, pixel by pixel as Pillow and every runner of the model do it; libvips would also
 * put what it enlarges half a pixel further right and down.
 *
 * @param at     how messages call the picture.
 * @param frame  what to use of a picture of the given size, upright.
 * @returns      u8[height][width][3] of the frame.
 * @throws {BnnError} E_FORMAT naming the picture when it is none of `PICTURE_FORMATS`, a damaged or too large one; E_BACKEND when libvips
 *   gets no thread.
 */
export async function decodeImage(
  bytes: Uint8Array,
  at: string,
  frame: (width: number, height: number) => Framing,
): Promise<Uint8Array> {
  const sharp = await loadSharp();
  return withThreads(sharp, () => decodeWith(sharp, bytes, at, frame));
}

async function decodeWith(
  sharp: Sharp,
  bytes: Uint8Array,
  at: string,
  frame: (width: number, height: number) => Framing,
): Promise<Uint8Array> {
  try {
    const format = pictureFormatOf(bytes);
    const known = jpegSize(bytes);
    // What sharp itself is asked for is checked here, in other words.
    const limitInputPixels = known === undefined ? false : MOST_PIXELS;
    const image = sharp(bytes, { failOn: 'error', ignoreIcc: true, limitInputPixels });
    const stored = known === undefined ? await image.metadata() : { ...known, ...JPEG_SAMPLES };
    const pixelBytes = stored.channels * (BYTES_PER_SAMPLE[stored.depth] ?? BYTES_OF_OTHER_SAMPLES);
    checkSize(stored.width, stored.height, format, pixelBytes);
    const { width, height, isTurned } = uprightSize(stored);
    if (isTurned) image.autoOrient();
    const framing = frame(width, height);
    if (Math.max(framing.width, framing.height) > LONGEST_SIDE) {
      throw new Error(`${width}×${height} pixels: too narrow to be resized to ${framing.width}×${framing.height}`);
    }
    const { cut } = framing;
    const isFast = cut !== undefined && framing.width <= cut.width && framing.height <= cut.height;
    const decode = () => (isFast ? decodeSmaller(image, cut, framing) : decodeExactly(image, framing));
    return await (width * height > LARGE_PIXELS ? inTurn(decode) : decode());
  } catch (cause) {
    // The further lines may be about other pictures: libvips collects messages from all threads.
    const [text] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    throw new BnnError('E_FORMAT', `cannot decode the picture: ${text}`, {
      at,
      hint: 'replace the picture, or remove it; a training leaves broken ones out with --broken-images skip',
      cause,
    });
  }
}

function pictureFormatOf(bytes: Uint8Array): PictureFormat {
  const format = formatOf(bytes);
  if (isPictureFormat(format)) return format;
  const found = bytes.length === 0 ? 'an empty file' : (format ?? 'no picture, or of an unknown format');
  throw new Error(`${found}, expected ${PICTURE_FORMATS.join(', ')}`);
}

/** Orientations 2 to 8 are mirrored or turned, 5 to 8 lie on their side. */
function uprightSize(stored: {
  readonly width: number;
  readonly height: number;
  readonly orientation?: number | undefined;
}) {
  const { width, height, orientation = 1 } = stored;
  const isTurned = orientation > 1;
  return orientation < 5 ? { width, height, isTurned } : { width: height, height: width, isTurned };
}

/** @param pixelBytes  of a decoded pixel: a header may promise samples that take much more memory than pixels of three bytes. */
function checkSize(width: number, height: number, format: PictureFormat, pixelBytes: number): void {
  const pixels = width * height;
  const most = format === 'AVIF' ? MOST_PIXELS_AVIF : MOST_PIXELS;
  if (pixels > most) {
    throw new Error(
      `${width}×${height} = ${pixels} pixels, at most ${most} are decoded; make it smaller, a training uses far fewer`,
    );
  }
  if (pixels * pixelBytes > MOST_DECODED_BYTES) {
    const found = `${width}×${height} pixels of ${pixelBytes} bytes`;
    throw new Error(`${found} take ${pixels * pixelBytes} bytes, at most ${MOST_DECODED_BYTES} are decoded`);
  }
}

/**
 * By libvips. A JPEG that becomes less than a quarter as large is decoded at half, a quarter or an eighth of its size, never below twice
 * what is wanted.
 */
async function decodeSmaller(image: Image, cut: Box, framing: Framing): Promise<Uint8Array> {
  image.extract(cut);
  image.resize(framing.width, framing.height, { fit: 'fill', kernel: 'linear', fastShrinkOnLoad: false });
  const { data, width, height } = await pixelsOf(image);
  if (width === framing.width && height === framing.height) return data;
  throw new Error(`decoded to ${width}x${height}, not ${framing.width}x${framing.height}`);
}

async function decodeExactly(image: Image, { cut, ...framing }: Framing): Promise<Uint8Array> {
  if (cut !== undefined) image.extract(cut);
  const { data, width, height } = await pixelsOf(image);
  return framePixels(data, { width, height, stride: 3 }, framing);
}

async function pixelsOf(image: Image): Promise<{ data: Uint8Array; width: number; height: number }> {
  const { data, info } = await image
    .removeAlpha()
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (channels !== 3) throw new Error(`decoded to ${channels} channels, not 3`);
  return { data, width, height };
}

let lastTurn: Promise<unknown> = Promise.resolve();

/** Begins when what was begun before has ended, in this thread. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const result = lastTurn.then(work);
  lastTurn = result.catch(() => {});
  return result;
}
