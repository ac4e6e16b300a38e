/** The pictures that a page trains on: IDX files as those of MNIST, gzipped. */

import { viewIdx } from '../../data/formats/idx-layout.ts';
import { BnnError } from '../../errors.ts';
import type { MemoryData, Pictures } from '../../training/learning/memory-training.ts';
import { fetchBytes } from './fetch-bytes.ts';
import type { TrainingFacts } from './messages.ts';

/**
 * @param onBytes  told how many bytes have come.
 * @throws {BnnError} E_NOT_FOUND, E_IO, E_FORMAT for a file that is missing, does not come or is damaged.
 */
export async function loadPictures(facts: TrainingFacts, onBytes: (bytes: number) => void): Promise<MemoryData> {
  let loaded = 0;
  const files = await Promise.all(
    facts.files.map(async (name) => {
      const bytes = await fetchBytes(name);
      loaded += bytes.length;
      onBytes(loaded);
      return gunzipped(bytes, name);
    }),
  );
  const split = (from: number): Pictures => {
    const [images, labels] = [0, 1].map((i) => {
      return viewIdx(files[from + i] ?? new Uint8Array(), i === 0 ? 3 : 1, facts.files[from + i] ?? '');
    });
    const [count = 0, height, width] = images?.shape ?? [];
    if (images === undefined || labels?.data.length !== count || height !== facts.height || width !== facts.width) {
      throw new BnnError('E_FORMAT', 'the pictures are not those that the page was made for', {
        at: facts.files[from] ?? '',
        hint: 'copy all files of the folder to the server',
      });
    }
    return { images: images.data, labels: labels.data };
  };
  const { height, width, channels, mean, std } = facts;
  return { height, width, channels, mean, std, train: split(0), test: split(2) };
}

/** Some servers send a compressed file as a compressed answer, which the browser has unpacked. */
async function gunzipped(bytes: Uint8Array, at: string): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream('gzip'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (cause) {
    throw new BnnError('E_FORMAT', 'the file is damaged: it cannot be decompressed', {
      at,
      hint: 'copy it to the server again',
      cause,
    });
  }
}
