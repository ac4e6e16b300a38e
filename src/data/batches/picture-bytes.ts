/** Pictures of a batch as bytes, for a device that normalises them itself: a quarter of what floats would move. */

export interface PictureBytes {
  /** u8[count][height][width][channels], four bytes to a word, the first one lowest; zeros fill the last word. */
  readonly words: Int32Array;
  /** f32[channels][256], what each byte becomes; see `normalizationTable`. */
  readonly table: Float32Array;
}

/** u8[channels][256]: in place of `normalizationTable`, where bytes stay as they are. */
export function sameBytes(channels: number): Uint8Array {
  return Uint8Array.from({ length: channels * 256 }, (_, i) => i & 255);
}

/** How many bytes the words for so many pixels take. */
export function wordBytes(pixels: number): number {
  return Math.ceil(pixels / 4) * 4;
}

/** Copies pixels into words. */
export function toWords(pixels: Uint8Array): Int32Array {
  const buffer = new ArrayBuffer(wordBytes(pixels.length));
  new Uint8Array(buffer).set(pixels);
  return new Int32Array(buffer);
}

/** A copy of the pixels from `from` up to `end`. */
export function partOfBytes({ words, table }: PictureBytes, from: number, end: number): PictureBytes {
  return { words: toWords(bytesOf(words).subarray(from, end)), table };
}

/** The bytes of words, those behind the last pixel too. */
export function bytesOf(words: Int32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
