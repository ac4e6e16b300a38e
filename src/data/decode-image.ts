/** Pictures from files, prepared as ImageNet evaluation does. */

import { BnnError } from '../errors.ts';
import { readBytes } from './source-files.ts';

/**
 * Decodes a picture to RGB, resizes its shorter side to `shorterSide` (bilinear with antialiasing, the other side in proportion),
 * and cuts `size` x `size` out of the middle. Colour profiles, EXIF rotation and transparency are ignored, as in torchvision.
 *
 * @returns  u8[size][size][3].
 * @throws {BnnError} E_FORMAT naming the file when it is no picture or a damaged one; E_NOT_FOUND or E_IO when it cannot be read.
 */
export async function decodeImage(path: string, shorterSide: number, size: number): Promise<Uint8Array> {
  const bytes = await readBytes(path);
  // Loaded here, so that data sets in memory do without the native library.
  const { default: sharp } = await import('sharp');
  try {
    const image = sharp(bytes, { failOn: 'error', ignoreIcc: true });
    const { width, height } = await image.metadata();
    const scale = shorterSide / Math.min(width, height);
    const newWidth = width <= height ? shorterSide : Math.trunc(width * scale);
    const newHeight = height <= width ? shorterSide : Math.trunc(height * scale);
    const { data, info } = await image
      .resize(newWidth, newHeight, { fit: 'fill', kernel: 'linear', fastShrinkOnLoad: false })
      .extract({
        left: cropOffset(newWidth - size),
        top: cropOffset(newHeight - size),
        width: size,
        height: size,
      })
      .removeAlpha()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3 || data.length !== size * size * 3) {
      throw new Error(`decoded to ${info.width}x${info.height}x${info.channels}, not ${size}x${size}x3`);
    }
    return data;
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new BnnError('E_FORMAT', `cannot decode the picture: ${text}`, {
      at: path,
      hint: 'replace the file, or remove it from the folder',
      cause,
    });
  }
}

/** Half of what is cut off, to the nearest even number when it is not whole (Python's rounding, hence torchvision's). */
function cropOffset(surplus: number): number {
  const floor = Math.floor(surplus / 2);
  return surplus % 2 === 0 ? floor : floor + (floor % 2);
}
