import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crc32c, maskedCrc32c } from '../../src/tensorboard/crc32c.ts';
import { EventFile } from '../../src/tensorboard/event-file-io.ts';
import { frameRecord } from '../../src/tensorboard/record.ts';
import { histogram, image, markdown, scalar } from '../../src/tensorboard/summaries.ts';
import { readEvents, readRecords } from './read-events.ts';

describe('CRC-32C', () => {
  // RFC 3720, appendix B.4, and the check value of the catalogue of parametrised CRC algorithms.
  it.each([
    ['123456789', new TextEncoder().encode('123456789'), 0xe3069283],
    ['32 zeros', new Uint8Array(32), 0x8a9136aa],
    ['32 times 0xff', new Uint8Array(32).fill(255), 0x62a8ab43],
    ['0 … 31', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ['31 … 0', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ])('of %s', (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });

  it('masked, as TensorFlow has it', () => {
    // Its test of the mask: a rotation by 15 bits to the right, and a constant.
    expect(maskedCrc32c(new TextEncoder().encode('123456789'))).toBe(
      Number(
        ((BigInt(Math.trunc(0xe3069283 / 2 ** 15)) | ((0xe3069283n << 17n) & 0xffffffffn)) + 0xa282ead8n) & 0xffffffffn,
      ),
    );
  });
});

it('a record is these bytes', () => {
  // Made by TensorBoard 2.21: tensorboard.summary.writer.record_writer.RecordWriter(file).write(b'bnn').
  expect(Buffer.from(frameRecord(new TextEncoder().encode('bnn'))).toString('hex')).toBe(RECORD);
});
const RECORD = '0300000000000000b099490e626e6e7e4c6ac5';

describe('a file', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bnn-events-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('holds what was written, for another reader', async () => {
    const file = await EventFile.create(join(folder, 'a'));
    const png = Uint8Array.of(1, 2, 3);
    await file.write(7, [
      scalar('loss/train', 0.25),
      null,
      histogram('weights/w', Float32Array.of(-1, -0.5, 0, 3)),
      image('mistakes/01', { png, height: 5, width: 6, channels: 3 }),
      markdown('list', '| ä |'),
    ]);
    await file.write(8, [scalar('loss/train', Number.NaN)]);
    await file.close();
    const { version, starts, values } = readEvents(await readFile(file.path));
    expect(version).toBe('brain.Event:2');
    expect(starts).toEqual([]);
    expect(values[0]).toEqual({ step: 7, tag: 'loss/train', scalar: 0.25 });
    const { limits, counts, ...ends } = values[1]!.histogram!;
    expect(ends).toEqual({ min: -1, max: 3, num: 4, sum: 1.5 });
    expect(limits.at(-1)).toBe(3);
    // Each value is in the bucket that ends above it, the last in the last.
    expect(counts.reduce((a, b) => a + b)).toBe(4);
    const found = (value: number) => counts[limits.findIndex((limit, i) => value < limit || i === limits.length - 1)];
    expect([-1, -0.5, 0, 3].map(found)).toEqual([1, 1, 1, 1]);
    expect(values[2]).toEqual({
      step: 7,
      tag: 'mistakes/01',
      image: { height: 5, width: 6, channels: 3, png: Buffer.from(png) },
    });
    expect(values[3]).toEqual({ step: 7, tag: 'list', text: '| ä |' });
    expect(values[4]).toEqual({ step: 8, tag: 'loss/train', scalar: Number.NaN });
    expect(values).toHaveLength(5);
  });

  it('of a resumed run is a new one, which voids what comes after its start', async () => {
    const first = await EventFile.create(join(folder, 'b'));
    const second = await EventFile.create(join(folder, 'b'), 3);
    await first.close();
    await second.close();
    expect(await readdir(join(folder, 'b'))).toHaveLength(2);
    expect(second.path > first.path).toBe(true);
    expect(readEvents(await readFile(second.path)).starts).toEqual([3]);
  });

  it('a folder that cannot be made is an error with its path', async () => {
    const file = await EventFile.create(join(folder, 'c'));
    await file.close();
    await expect(EventFile.create(join(file.path, 'd'))).rejects.toMatchObject({
      name: 'BnnError',
      at: join(file.path, 'd'),
    });
  });
});

it('the reader of these tests finds damage', async () => {
  const record = frameRecord(Uint8Array.of(1, 2, 3));
  for (const i of record.keys()) {
    const damaged = Uint8Array.from(record, (byte, k) => (k === i ? byte ^ 4 : byte));
    expect(() => readRecords(damaged)).toThrow(/damaged|cut off/);
  }
});

describe('a histogram', () => {
  it('leaves out what is no number', () => {
    expect(histogram('x', [Number.NaN, 1, Infinity])?.histo).toMatchObject({
      num: 1,
      min: 1,
      max: 1,
      bucketLimit: [1],
      bucket: [1],
    });
    expect(histogram('x', [Number.NaN])).toBeNull();
  });
});
