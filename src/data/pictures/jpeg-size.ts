/**
 * Width, height and orientation of a JPEG from its headers (ITU-T T.81, B.2.2; Exif 3.0, 4.6): a picture is then decoded in one call,
 * where asking the decoder first takes about a third of the time of decoding it.
 */

const START_OF_IMAGE = 0xffd8;
const APP1 = 0xe1;
const EXIF = [0x45, 0x78, 0x69, 0x66, 0, 0];
const LITTLE_ENDIAN = 0x4949;
const TIFF_MAGIC = 42;
const ORIENTATION_TAG = 0x112;
const SHORT = 3;
const ENTRY_BYTES = 12;

export interface JpegSize {
  /** Of the stored pixels. */
  readonly width: number;
  readonly height: number;
  /** As Exif counts them: 1 upright, 2 to 8 mirrored or turned. */
  readonly orientation: number;
}

/** Undefined for what is not a JPEG, or has no frame header where one belongs. */
export function jpegSize(bytes: Uint8Array): JpegSize | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint16(0) !== START_OF_IMAGE) return undefined;
  let at = 2;
  let orientation: number | undefined;
  while (at + 9 <= bytes.length) {
    if (bytes[at] !== 0xff) return undefined;
    const marker = bytes[at + 1] ?? 0;
    // Any number of fill bytes may stand before a marker.
    if (marker === 0xff) {
      at++;
      continue;
    }
    if (isFrameHeader(marker)) {
      const height = view.getUint16(at + 5);
      const width = view.getUint16(at + 7);
      // Height 0 means that a later marker tells it.
      return width > 0 && height > 0 ? { width, height, orientation: orientation ?? 1 } : undefined;
    }
    if (marker === 0xda || marker === 0xd9) return undefined;
    const next = at + 2 + view.getUint16(at + 2);
    if (marker === APP1) orientation ??= exifOrientation(bytes.subarray(at + 4, next));
    at = next;
  }
  return undefined;
}

/** SOF0 … SOF15, without the three codes among them that mean tables (DHT, JPG, DAC). */
function isFrameHeader(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

/** Of the first directory of the TIFF file in an APP1 segment; undefined where it says nothing that means something. */
function exifOrientation(segment: Uint8Array): number | undefined {
  if (!EXIF.every((byte, i) => segment[i] === byte)) return undefined;
  const tiff = new DataView(segment.buffer, segment.byteOffset + EXIF.length, segment.length - EXIF.length);
  if (tiff.byteLength < 8) return undefined;
  const isLittle = tiff.getUint16(0) === LITTLE_ENDIAN;
  if (tiff.getUint16(2, isLittle) !== TIFF_MAGIC) return undefined;
  const directory = tiff.getUint32(4, isLittle);
  if (directory + 2 > tiff.byteLength) return undefined;
  const entries = tiff.getUint16(directory, isLittle);
  for (let i = 0, at = directory + 2; i < entries && at + ENTRY_BYTES <= tiff.byteLength; i++, at += ENTRY_BYTES) {
    if (tiff.getUint16(at, isLittle) !== ORIENTATION_TAG) continue;
    const value = tiff.getUint16(at + 8, isLittle);
    return tiff.getUint16(at + 2, isLittle) === SHORT && value >= 1 && value <= 8 ? value : undefined;
  }
  return undefined;
}
