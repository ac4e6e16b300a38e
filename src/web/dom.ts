/** The few things of a browser's document that are used: TypeScript's own declarations would put the whole of it everywhere. */

import type { Pixels } from '../engine/picture-input.ts';
import { BnnError } from '../errors.ts';

/** What a canvas can draw: an ImageBitmap, an image, a video, a canvas. */
export interface Drawable {
  readonly width: number;
  readonly height: number;
  readonly naturalWidth?: number;
  readonly naturalHeight?: number;
  readonly videoWidth?: number;
  readonly videoHeight?: number;
}

interface Canvas {
  getContext(
    kind: '2d',
    options: { readonly willReadFrequently: boolean },
  ): {
    drawImage(source: Drawable, x: number, y: number, width: number, height: number): void;
    getImageData(x: number, y: number, width: number, height: number): Pixels;
  } | null;
}

interface Browser {
  readonly OffscreenCanvas: new (width: number, height: number) => Canvas;
  readonly location?: { readonly href: string };
}

const browser = globalThis as unknown as Browser;

function isPixels(source: Drawable | Pixels): source is Pixels {
  return 'data' in source;
}

/**
 * The pixels of whatever shows a picture.
 *
 * @throws {BnnError} E_SHAPE for what shows none yet, E_UNSUPPORTED for what the browser keeps secret or is too large for it.
 */
export function pixelsOf(source: Drawable | Pixels): Pixels {
  if (isPixels(source)) return source;
  const width = source.naturalWidth ?? source.videoWidth ?? source.width;
  const height = source.naturalHeight ?? source.videoHeight ?? source.height;
  if (!(width > 0 && height > 0)) {
    throw new BnnError('E_SHAPE', `the picture is ${width} x ${height} pixels, expected one that is loaded`, {
      hint: 'wait for it: await image.decode(), or the event loadeddata of a video',
    });
  }
  try {
    const context = new browser.OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    if (context === null) throw new Error('it gives no canvas');
    context.drawImage(source, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BnnError('E_UNSUPPORTED', `the browser does not give the ${width} x ${height} pixels: ${reason}`, {
      hint: 'a picture of another site needs its permission: crossOrigin = "anonymous"; a large one must be made smaller',
      cause,
    });
  }
}
