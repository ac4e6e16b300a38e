// biome-ignore-all lint/suspicious/noControlCharactersInRegex: the first bytes of files are not text.
/** What a file holds, by its first bytes: names of files are often wrong, and a decoder that guesses also takes what nobody wants. */

/** Formats that are decoded. */
export const PICTURE_FORMATS = ['JPEG', 'PNG', 'WebP', 'GIF', 'TIFF', 'AVIF'] as const;
export type PictureFormat = (typeof PICTURE_FORMATS)[number];

/** Bytes of a file that tell its format. */
export const FORMAT_BYTES = 64;

/** Names that such files have; a file with one of them counts as a picture until it is decoded. */
const EXTENSIONS = /\.(?:jpe?g|jpe|jfif|pjpe?g|pjp|png|webp|gif|tiff?|avif)$/i;

/** First bytes as latin-1 text; `.` in a pattern is any byte. */
const SIGNATURES: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['JPEG', /^\xff\xd8\xff/],
  ['PNG', /^\x89PNG\r\n\x1a\n/],
  ['GIF', /^GIF8[79]a/],
  ['WebP', /^RIFF....WEBP/s],
  ['TIFF', /^(?:II[*+]\0|MM\0[*+])/],
  // The brands of the file, the main one first.
  ['AVIF', /^....ftyp(?:.{4})*?avi[fs]/s],
  // Of iPhones: the one format of photographs that is not decoded (HEVC is patented, and libvips comes without it).
  ['HEIC, to be made JPEG first', /^....ftyp.*(?:hei[cmsx]|hev[cx]|mif1|msf1)/s],
  ['BMP', /^BM....\0\0\0\0/s],
  ['SVG', /^(?:\xef\xbb\xbf)?\s*(?:<\?xml.*)?<svg/is],
  ['XML', /^(?:\xef\xbb\xbf)?\s*<\?xml/],
  ['HTML', /^(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html)/i],
  ['JPEG XL', /^(?:\xff\x0a|\0\0\0\x0cJXL )/],
  ['JPEG 2000', /^(?:\0\0\0\x0cjP {2}|\xff\x4f\xff\x51)/],
  ['PNM', /^P[1-7]\s/],
  ['PSD', /^8BPS/],
  ['PDF', /^%PDF/],
  ['ICO', /^\0\0[\x01\x02]\0.\0/s],
  ['a Git LFS pointer', /^version https:\/\/git-lfs/],
  ['ZIP', /^PK\x03\x04/],
  ['gzip', /^\x1f\x8b/],
];

/** Whether a file is taken for a picture, by its name. */
export function isPictureName(name: string): boolean {
  return EXTENSIONS.test(name);
}

/** What begins with these bytes, in words; undefined for what is not known, such as text. */
export function formatOf(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, FORMAT_BYTES)).toString('latin1');
  return SIGNATURES.find(([, pattern]) => pattern.test(head))?.[0];
}

export function isPictureFormat(name: string | undefined): name is PictureFormat {
  return (PICTURE_FORMATS as readonly (string | undefined)[]).includes(name);
}
