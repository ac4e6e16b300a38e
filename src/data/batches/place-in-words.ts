/**
 * Normalisation of whole RGB pictures, four pixels at a time: three words of the source hold twelve table indices. Byte by byte, the
 * same takes one and a half times as long, and twice as long where the picture is mirrored. Words are little-endian, as everywhere
 * that Node runs.
 */

interface PictureSize {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** Whether rows consist of groups of four RGB pixels, and begin where a word of the buffer does. */
export function canPlaceInWords(pixels: Uint8Array, from: number, { width, channels }: PictureSize): boolean {
  return channels === 3 && width % 4 === 0 && (pixels.byteOffset + from) % 4 === 0;
}

/** As `placeImage` without a shift. */
export function placeInWords<Pixels extends Float32Array | Uint8Array>(
  pixels: Uint8Array,
  from: number,
  out: Pixels,
  to: number,
  { height, width }: PictureSize,
  table: Pixels,
  flip: boolean,
): void {
  const rowWords = (width * 3) / 4;
  const words = new Uint32Array(pixels.buffer, pixels.byteOffset + from, height * rowWords);
  // Where the four pixels of a group go, and where the next group does.
  const [p0, p1, p2, p3] = flip ? [9, 6, 3, 0] : [0, 3, 6, 9];
  const step = flip ? -12 : 12;
  for (let y = 0; y < height; y++) {
    let target = to + y * width * 3 + (flip ? width * 3 - 12 : 0);
    const end = (y + 1) * rowWords;
    for (let w = y * rowWords; w < end; w += 3, target += step) {
      // r0 g0 b0 r1, g1 b1 r2 g2, b2 r3 g3 b3; the lowest byte comes first.
      const a = words[w] ?? 0;
      const b = words[w + 1] ?? 0;
      const c = words[w + 2] ?? 0;
      out[target + p0] = table[a & 255] ?? 0;
      out[target + p0 + 1] = table[256 + ((a >>> 8) & 255)] ?? 0;
      out[target + p0 + 2] = table[512 + ((a >>> 16) & 255)] ?? 0;
      out[target + p1] = table[a >>> 24] ?? 0;
      out[target + p1 + 1] = table[256 + (b & 255)] ?? 0;
      out[target + p1 + 2] = table[512 + ((b >>> 8) & 255)] ?? 0;
      out[target + p2] = table[(b >>> 16) & 255] ?? 0;
      out[target + p2 + 1] = table[256 + (b >>> 24)] ?? 0;
      out[target + p2 + 2] = table[512 + (c & 255)] ?? 0;
      out[target + p3] = table[(c >>> 8) & 255] ?? 0;
      out[target + p3 + 1] = table[256 + ((c >>> 16) & 255)] ?? 0;
      out[target + p3 + 2] = table[512 + (c >>> 24)] ?? 0;
    }
  }
}
