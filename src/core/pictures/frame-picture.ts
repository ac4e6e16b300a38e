/** Which part of a picture a network sees, and where: from the description of its pictures and the size of one. */

import type { PictureFrame } from './preprocessing.ts';

/** A part of a picture, in pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Steps from a decoded picture to one of the network's size, in this order. */
export interface Framing {
  /** Cut out of the original pixels. */
  readonly cut?: Box;
  /** Size to which what is left is resized. */
  readonly width: number;
  readonly height: number;
  /** Cut out of the resized pixels. */
  readonly cutAfter?: Box;
  /** Size of a black picture, and where in it the resized pixels lie. */
  readonly pad?: Box;
}

/**
 * Frames a picture of the given size. Sizes are computed in whole numbers, so that every language finds the same.
 *
 * `crop` is torchvision's Resize(shorterSide) and CenterCrop: the other side is rounded down.
 */
export function framePicture(width: number, height: number, frame: PictureFrame): Framing {
  switch (frame.fit) {
    case 'crop':
      return frameMiddle(width, height, frame);
    case 'squash':
      return { width: frame.width, height: frame.height };
    case 'pad':
      return framePadded(width, height, frame);
    default:
      return frame.fit satisfies never;
  }
}

function frameMiddle(width: number, height: number, frame: PictureFrame): Framing {
  const side = Math.min(frame.width, frame.height);
  const ratio = (frame.shorterSide ?? side) / side;
  const [across, down] = [Math.round(frame.width * ratio), Math.round(frame.height * ratio)];
  const isTall = width * down <= height * across;
  const newWidth = isTall ? across : Math.floor((width * down) / height);
  const newHeight = isTall ? Math.floor((height * across) / width) : down;
  const [left, top] = [cropOffset(newWidth - frame.width), cropOffset(newHeight - frame.height)];
  return {
    width: newWidth,
    height: newHeight,
    cutAfter: { left, top, width: frame.width, height: frame.height },
  };
}

/** Half of what is cut off, to the nearest even number when it is not whole (Python's rounding, hence torchvision's). */
function cropOffset(surplus: number): number {
  const floor = Math.floor(surplus / 2);
  return surplus % 2 === 0 ? floor : floor + (floor % 2);
}

/** The longer side (in the proportions of the result) fills it, the other is rounded down; of an odd rest, more lies right and below. */
function framePadded(width: number, height: number, frame: PictureFrame): Framing {
  const isWide = width * frame.height >= height * frame.width;
  const newWidth = isWide ? frame.width : Math.max(1, Math.floor((width * frame.height) / height));
  const newHeight = isWide ? Math.max(1, Math.floor((height * frame.width) / width)) : frame.height;
  return {
    width: newWidth,
    height: newHeight,
    pad: {
      left: Math.floor((frame.width - newWidth) / 2),
      top: Math.floor((frame.height - newHeight) / 2),
      width: frame.width,
      height: frame.height,
    },
  };
}

/** u8[pad.height][pad.width][3] from u8[height][width][3]; the pixels themselves where nothing is to be added. */
export function padPixels(rgb: Uint8Array, { width, height, pad }: Framing): Uint8Array {
  if (pad === undefined || (pad.width === width && pad.height === height)) return rgb;
  const result = new Uint8Array(pad.width * pad.height * 3);
  for (let y = 0; y < height; y++) {
    result.set(rgb.subarray(y * width * 3, (y + 1) * width * 3), ((pad.top + y) * pad.width + pad.left) * 3);
  }
  return result;
}
