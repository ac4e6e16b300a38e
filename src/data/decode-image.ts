/** Encoded pictures to pixels. */

import { BnnError } from '../errors.ts';
import type { Framing } from './framing.ts';
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
/** Larger pictures are decoded one after another: several at once might not fit into the memory. */
const LARGE_PIXELS = 2 ** 25;
/** Of what libvips resizes to. */
const LONGEST_SIDE = 1e8;
const BYTES_PER_SAMPLE: Readonly<Record<string, number>> = { uchar: 1, char: 1, ushort: 2, short: 2 };
const BYTES_OF_OTHER_SAMPLES = 8;

/**
 * Decodes a picture to RGB and frames it (bilinear with antialiasing). Colour profiles, EXIF rotation and transparency are ignored, as
 * in torchvision. A JPEG that becomes less than a quarter as large as a whole is decoded at half, a quarter or an eighth of its size,
 * never below twice what is wanted. Where a side is enlarged, the result lies half a pixel further right and down than
 * torchvision has it: libvips does so. Of an animation, the first picture counts.
 *
 * @param at     how messages call the picture.
 * @param frame  what to use of a picture of the given size.
 * @returns      u8[height][width][3] of the frame.
 * @throws {BnnError} E_FORMAT naming the picture when it is none of `PICTURE_FORMATS`, a damaged or too large one.
 */
export async function decodeImage(
  bytes: Uint8Array,
  at: string,
  frame: (width: number, height: number) => Framing,
): Promise<Uint8Array> {
  const sharp = await loadSharp();
  try {
    const format = pictureFormatOf(bytes);
    const image = sharp(bytes, { failOn: 'error', ignoreIcc: true, limitInputPixels: MOST_PIXELS });
    const { width, height } = jpegSize(bytes) ?? (await readSize(image));
    checkPixels(width, height, format);
    const framing = frame(width, height);
    if (Math.max(framing.width, framing.height) > LONGEST_SIDE) {
      throw new Error(`${width}×${height} pixels: too narrow to be resized to ${framing.width}×${framing.height}`);
    }
    const decode = () => decodeFrame(image, framing);
    return await (width * height > LARGE_PIXELS ? inTurn(decode) : decode());
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

function pictureFormatOf(bytes: Uint8Array): PictureFormat {
  const format = formatOf(bytes);
  if (isPictureFormat(format)) return format;
  const found = bytes.length === 0 ? 'an empty file' : (format ?? 'no picture, or of an unknown format');
  throw new Error(`${found}, expected ${PICTURE_FORMATS.join(', ')}`);
}

/** From the header, which may promise samples that take much more memory than pixels of three bytes. */
async function readSize(image: Image): Promise<{ readonly width: number; readonly height: number }> {
  const { width, height, channels, depth } = await image.metadata();
  const decodedBytes = width * height * channels * (BYTES_PER_SAMPLE[depth] ?? BYTES_OF_OTHER_SAMPLES);
  if (decodedBytes <= MOST_DECODED_BYTES) return { width, height };
  const size = `${width}×${height} pixels of ${channels} samples (${depth})`;
  throw new Error(`${size} take ${decodedBytes} bytes, at most ${MOST_DECODED_BYTES} are decoded`);
}

function checkPixels(width: number, height: number, format: PictureFormat): void {
  const most = format === 'AVIF' ? MOST_PIXELS_AVIF : MOST_PIXELS;
  if (width * height <= most) return;
  const found = `${width}×${height} = ${width * height} pixels`;
  throw new Error(`${found}, at most ${most} are decoded; make it smaller, a training uses far fewer`);
}

async function decodeFrame(image: Image, framing: Framing): Promise<Uint8Array> {
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
}

let lastTurn: Promise<unknown> = Promise.resolve();

/** Begins when what was begun before has ended, in this thread. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const result = lastTurn.then(work);
  lastTurn = result.catch(() => {});
  return result;
}
