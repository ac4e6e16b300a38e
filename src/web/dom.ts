/** The few things of a browser's document that are used: TypeScript's own declarations would put the whole of it everywhere. */

import type { Pixels } from '../engine/picture-input.ts';

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

/** The pixels of whatever shows a picture. */
export function pixelsOf(source: Drawable | Pixels): Pixels {
  if (isPixels(source)) return source;
  const width = source.naturalWidth ?? source.videoWidth ?? source.width;
  const height = source.naturalHeight ?? source.videoHeight ?? source.height;
  const context = new browser.OffscreenCanvas(Math.max(1, width), Math.max(1, height)).getContext('2d', {
    willReadFrequently: true,
  });
  if (context === null) throw new Error('the browser gives no canvas to read pixels with');
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}
