/** Encoded pictures to pixels. */

import { setTimeout } from 'node:timers/promises';
import { isOutOfThreads, outOfThreads, sayFewerThreads } from '../core/scarce-threads.ts';
import { BnnError } from '../errors.ts';
import type { Framing } from './framing.ts';
import { jpegSize } from './jpeg-size.ts';

type Sharp = typeof import('sharp')['default'];
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

/** Tries where libvips gets no thread, and the longest pause between two, in milliseconds. */
const TRIES = 60;
const LONGEST_PAUSE = 100;
/** Once threads are scarce, any failure may be for want of one: libvips collects messages from all threads. */
let isScarce = false;

/** Runs `decode` again while other pictures hold the threads that it needs. */
async function withThreads<T>(sharp: Sharp, decode: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await decode();
    } catch (error) {
      const isRefused = error instanceof BnnError && isForWantOfThreads(error.cause);
      if (isRefused && !isScarce) {
        isScarce = true;
        // Threads of one picture.
        sharp.concurrency(1);
        sayFewerThreads('pictures are decoded on fewer threads');
      }
      if (!isScarce) throw error;
      if (tries === TRIES) throw isRefused ? outOfThreads('decoding pictures', error) : error;
      await setTimeout(Math.random() * Math.min(LONGEST_PAUSE, 2 ** tries));
    }
  }
}

/** libvips has no words at all for some of these failures; damaged pictures are described. */
function isForWantOfThreads(cause: unknown): boolean {
  return isOutOfThreads(cause) || (cause instanceof Error && cause.message.trim() === 'Unknown error');
}

/**
 * Decodes a picture to RGB and frames it (bilinear with antialiasing). Colour profiles, EXIF rotation and transparency are ignored, as
 * in torchvision. A JPEG that becomes less than a quarter as large as a whole is decoded at half, a quarter or an eighth of its size,
 * never below twice what is wanted. Where a side is enlarged, the result lies half a pixel further right and down than
 * torchvision has it: libvips does so.
 *
 * @param at     how messages call the picture.
 * @param frame  what to use of a picture of the given size.
 * @returns      u8[height][width][3] of the frame.
 * @throws {BnnError} E_FORMAT naming the picture when it is none or a damaged one; E_BACKEND when libvips gets no thread.
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
    const image = sharp(bytes, { failOn: 'error', ignoreIcc: true });
    const { width, height } = jpegSize(bytes) ?? (await image.metadata());
    const framing = frame(width, height);
    if (framing.cut !== undefined) image.extract(framing.cut);
    image.resize(framing.width, framing.height, { fit: 'fill', kernel: 'linear', fastShrinkOnLoad: false });
    if (framing.cutAfter !== undefined) image.extract(framing.cutAfter);
    const { data, info } = await image
      .removeAlpha()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const wanted = framing.cutAfter ?? framing;
    if (info.channels !== 3 || info.width !== wanted.width || info.height !== wanted.height) {
      const found = `${info.width}x${info.height}x${info.channels}`;
      throw new Error(`decoded to ${found}, not ${wanted.width}x${wanted.height}x3`);
    }
    return data;
  } catch (cause) {
    // The further lines may be about other pictures: libvips collects messages from all threads.
    const [text] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    throw new BnnError('E_FORMAT', `cannot decode the picture: ${text}`, {
      at,
      hint: 'replace the picture, remove it, or leave out broken ones with --broken-images skip',
      cause,
    });
  }
}
