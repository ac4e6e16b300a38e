/** Pixels as encoded pictures, for people to look at. */

/** u8[height][width][channels], grey or RGB. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** Up to this side a picture is kept exactly. */
const SMALL = 64;

/** Loaded when a picture is encoded. */
async function open({ data, height, width, channels }: Pixels) {
  const { default: sharp } = await import('sharp');
  return sharp(data, { raw: { width, height, channels: channels === 1 ? 1 : 3 } });
}

/** Without loss. */
export async function encodePng(pixels: Pixels): Promise<Uint8Array> {
  return (await open(pixels)).png({ compressionLevel: 9, palette: false }).toBuffer();
}

/** As an address for a page. A large picture is made smaller: at most `side` pixels, as WebP. */
export async function pictureAddress(pixels: Pixels, side: number): Promise<string> {
  if (Math.max(pixels.height, pixels.width) <= SMALL) return address('png', await encodePng(pixels));
  const small = (await open(pixels)).resize(side, side, { fit: 'inside', withoutEnlargement: true });
  return address('webp', await small.webp({ quality: 80 }).toBuffer());
}

/** Ink on nothing: u8[height][width], 0 … 255 of black, so that a page can turn it to white. */
export async function inkAddress(ink: Uint8Array, height: number, width: number): Promise<string> {
  const { default: sharp } = await import('sharp');
  const data = new Uint8Array(2 * ink.length);
  for (const [i, alpha] of ink.entries()) data[2 * i + 1] = alpha;
  return address(
    'png',
    await sharp(data, { raw: { width, height, channels: 2 } })
      .png({ compressionLevel: 9 })
      .toBuffer(),
  );
}

function address(kind: string, data: Uint8Array): string {
  const bytes = Buffer.from(data);
  return `data:image/${kind};base64,${bytes.toString('base64')}`;
}
