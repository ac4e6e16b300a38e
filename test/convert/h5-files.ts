/** Files of Keras, written with h5wasm; null where that optional package is not installed. */

import type { Tensor } from '../../src/core/tensors/tensor.ts';

interface Writer {
  readonly ready: Promise<{
    readonly FS: { readFile(path: string): Uint8Array; unlink(path: string): void };
  }>;
  readonly File: new (
    path: string,
    mode: 'w',
  ) => Group & {
    close(): number;
  };
}

interface Group {
  create_group(name: string): Group;
  create_dataset(options: {
    readonly name: string;
    readonly data: Tensor['data'] | string;
    readonly shape?: readonly number[];
    readonly chunks?: readonly number[] | null;
    readonly maxshape?: readonly null[];
    readonly compression?: 'gzip';
  }): unknown;
  create_attribute(name: string, data: string | readonly string[]): void;
}

const NAME: string = 'h5wasm';
const library = await (import(NAME) as Promise<Writer>).catch(() => null);

export const missingH5 = library === null ? 'h5wasm is not installed' : undefined;

/** A file of tensors by path; `compressed` writes them in pieces with gzip, of sizes that may be given. */
export async function h5File(
  tensors: Readonly<Record<string, Tensor>>,
  compressed: boolean | { readonly chunks: readonly number[] } = false,
): Promise<Uint8Array> {
  if (library === null) throw new Error('h5wasm is not installed');
  const { FS } = await library.ready;
  const file = new library.File('/written.h5', 'w');
  file.create_attribute('keras_version', '2.11.0');
  file.create_dataset({ name: 'comment', data: 'no tensor' });
  const groups = new Map<string, Group>([['', file]]);
  const groupOf = (path: string): Group => {
    const known = groups.get(path);
    if (known !== undefined) return known;
    const parts = path.split('/');
    const name = parts.pop() ?? '';
    const made = groupOf(parts.join('/')).create_group(name);
    groups.set(path, made);
    return made;
  };
  for (const [path, { shape, data }] of Object.entries(tensors)) {
    const parts = path.split('/');
    const name = parts.pop() ?? '';
    const isSplit = compressed !== false && shape.length > 0;
    const chunks = typeof compressed === 'object' ? compressed.chunks : shape.map((size) => Math.ceil(size / 2));
    groupOf(parts.join('/')).create_dataset({
      name,
      data,
      shape,
      ...(isSplit ? { chunks, compression: 'gzip', maxshape: shape.map(() => null) } : {}),
    });
  }
  file.close();
  const bytes = Uint8Array.from(FS.readFile('/written.h5'));
  FS.unlink('/written.h5');
  return bytes;
}
