/** From the pixels of a picture to the input of a network. */

import { type Framing, padPixels } from './frame-picture.ts';
import { channelsOf, type PictureForm, type Preprocessing } from './preprocessing.ts';
import { type PixelSize, resize } from './resize.ts';

/**
 * Cuts, resizes and pads, as the framing says.
 *
 * @param pixels  u8[size.height][size.width][size.stride], red, green and blue first.
 * @returns       u8[height][width][3] of the frame.
 */
export function framePixels(pixels: ArrayLike<number>, size: PixelSize, framing: Framing): Uint8Array {
  const whole = { left: 0, top: 0, width: size.width, height: size.height };
  const rgb = resize(pixels, size, framing.cut ?? whole, framing, framing.cutAfter);
  return framing.cutAfter === undefined ? padPixels(rgb, framing) : rgb;
}

/** ITU-R BT.601 in whole numbers, as Pillow turns colours into grey. */
function grey(red: number, green: number, blue: number): number {
  return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
}

/**
 * Normalizes a framed picture.
 *
 * @param rgb     u8[height][width][3].
 * @param result  where to write the numbers, from `offset` on.
 * @returns       f32[C][height][width] or [height][width][C], by the layout: (pixel / 255 − mean) / std.
 */
export function normalizePixels(
  rgb: Uint8Array,
  { layout, channelOrder }: Pick<PictureForm, 'layout' | 'channelOrder'>,
  { mean, std }: Pick<Preprocessing, 'mean' | 'std'>,
  result = new Float32Array((rgb.length / 3) * channelsOf({ channelOrder })),
  offset = 0,
): Float32Array {
  const channels = channelsOf({ channelOrder });
  const pixels = rgb.length / 3;
  for (let c = 0; c < channels; c++) {
    // In float64, rounded once.
    const table = Float32Array.from({ length: 256 }, (_, v) => (v / 255 - (mean[c] ?? 0)) / (std[c] ?? 1));
    const [begin, step] = layout === 'NCHW' ? [c * pixels, 1] : [c, channels];
    for (let p = 0; p < pixels; p++) {
      const from = 3 * p;
      const value =
        channelOrder === 'grey' ? grey(rgb[from] ?? 0, rgb[from + 1] ?? 0, rgb[from + 2] ?? 0) : (rgb[from + c] ?? 0);
      result[offset + begin + p * step] = table[value] ?? 0;
    }
  }
  return result;
}
