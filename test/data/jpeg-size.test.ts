import fc from 'fast-check';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { jpegSize } from '../../src/data/jpeg-size.ts';

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
  expect(jpegSize(bytes)).toEqual({ width: 123, height: 45 });
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
