import fc from 'fast-check';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { jpegSize } from '../../../src/data/pictures/jpeg-size.ts';

function picture(width: number, height: number) {
  return sharp({ create: { width, height, channels: 3, background: 'red' } });
}

test.each([
  ['baseline', {}],
  ['progressive', { progressive: true }],
  ['with many tables', { optimiseScans: true, trellisQuantisation: true }],
])('what sharp wrote: %s', async (_, options) => {
  const bytes = await picture(123, 45)
    .withExif({ IFD0: { Copyright: 'x'.repeat(1000) } })
    .jpeg(options)
    .toBuffer();
  expect(jpegSize(bytes)).toEqual({ width: 123, height: 45, orientation: 1 });
});

test.each([1, 2, 3, 4, 5, 6, 7, 8])('orientation %d', async (orientation) => {
  const bytes = await picture(12, 5).withMetadata({ orientation }).jpeg().toBuffer();
  expect(jpegSize(bytes)).toEqual({ width: 12, height: 5, orientation });
});

test('damaged Exif data say nothing, and do no harm', async () => {
  const bytes = await picture(9, 7).withMetadata({ orientation: 6 }).jpeg().toBuffer();
  const exif = bytes.indexOf('Exif');
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { minLength: 1, maxLength: 4 }), (changes) => {
      const damaged = Uint8Array.from(bytes);
      for (const [at, value] of changes) damaged[exif + at] = value;
      const { width, height, orientation = 0 } = jpegSize(damaged) ?? {};
      expect([width, height]).toEqual([9, 7]);
      expect(orientation >= 1 && orientation <= 8).toBe(true);
    }),
  );
});

test('other formats, cut-off files and noise have none', async () => {
  expect(jpegSize(await picture(9, 9).png().toBuffer())).toBeUndefined();
  const bytes = await picture(9, 9).jpeg().toBuffer();
  for (let length = 0; length < 100; length++) expect(jpegSize(bytes.subarray(0, length))).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
      jpegSize(Uint8Array.of(0xff, 0xd8, ...noise));
    }),
  );
});
