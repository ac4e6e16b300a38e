/** Checkpoints as torch.save writes them, byte by byte: pickles of protocol 2 in a ZIP archive, or one after another. */

import { crc32, deflateRawSync } from 'node:zlib';

type Item = string | number | boolean | null | bigint | Raw | readonly Item[];

/** Opcodes as they are. */
export class Raw {
  readonly bytes: readonly number[];
  constructor(bytes: readonly number[]) {
    this.bytes = bytes;
  }
}

const text = (value: string): number[] => [...new TextEncoder().encode(value)];
const u32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255];
const u16 = (value: number): number[] => [value & 255, (value >> 8) & 255];

/** Arrays are tuples. */
export function encode(item: Item): number[] {
  if (item instanceof Raw) return [...item.bytes];
  if (item === null) return [0x4e];
  if (typeof item === 'boolean') return [item ? 0x88 : 0x89];
  if (typeof item === 'number') return [0x4a, ...u32(item)];
  if (typeof item === 'bigint') {
    const bytes = Array.from({ length: 10 }, (_, i) => Number((item >> BigInt(8 * i)) & 255n));
    return [0x8a, bytes.length, ...bytes];
  }
  if (typeof item === 'string') return [0x58, ...u32(text(item).length), ...text(item)];
  return [0x28, ...item.flatMap(encode), 0x74];
}

export const global = (module: string, name: string): Raw => new Raw([0x63, ...text(`${module}\n${name}\n`)]);
export const call = (callee: Raw, args: readonly Item[]): Raw => new Raw([...callee.bytes, ...encode(args), 0x52]);
export const dict = (items: Readonly<Record<string, Item>>): Raw =>
  new Raw([0x7d, 0x28, ...Object.entries(items).flatMap(([key, value]) => [...encode(key), ...encode(value)]), 0x75]);
export const list = (items: readonly Item[]): Raw => new Raw([0x5d, 0x28, ...items.flatMap(encode), 0x65]);
export const pickle = (item: Item): number[] => [0x80, 2, ...encode(item), 0x2e];

/** A tensor as `_rebuild_tensor_v2` makes it. */
export function tensorItem(
  key: string,
  elements: number,
  shape: readonly number[],
  strides: readonly number[],
  { offset = 0, type = 'FloatStorage' } = {},
): Raw {
  const id = encode(['storage', global('torch', type), key, 'cpu', elements]);
  const hooks = call(global('collections', 'OrderedDict'), []);
  return call(global('torch._utils', '_rebuild_tensor_v2'), [
    new Raw([...id, 0x51]),
    offset,
    shape,
    strides,
    false,
    hooks,
  ]);
}

/** Numbers 0, 1, 2 … as float32. */
export const counting = (count: number): Uint8Array =>
  new Uint8Array(Float32Array.from({ length: count }, (_, i) => i).buffer);

/** `{state_dict: {module.fc.weight: 2×3 transposed, module.fc.bias: 2 of the same storage}, epoch: 7}`. */
const SAMPLE = dict({
  epoch: 7,
  arch: 'mlp',
  state_dict: dict({
    'module.fc.weight': tensorItem('0', 8, [2, 3], [1, 2]),
    'module.fc.bias': tensorItem('0', 8, [2], [1], { offset: 6 }),
    'module.bn.num_batches_tracked': tensorItem('1', 1, [], [], { type: 'LongStorage' }),
  }),
});
const STORAGES: Readonly<Record<string, Uint8Array>> = {
  '0': counting(8),
  '1': new Uint8Array(BigInt64Array.of(5n).buffer),
};

export interface ZipOptions {
  readonly deflate: boolean;
  readonly root?: Raw;
  readonly storages?: Readonly<Record<string, Uint8Array>>;
  readonly byteorder?: string;
}

export function torchZip({
  deflate,
  root = SAMPLE,
  storages = STORAGES,
  byteorder = 'little',
}: ZipOptions): Uint8Array {
  const files: [string, Uint8Array][] = [
    ['archive/data.pkl', Uint8Array.from(pickle(root))],
    ['archive/byteorder', Uint8Array.from(text(byteorder))],
    ...Object.entries(storages).map(([key, bytes]): [string, Uint8Array] => [`archive/data/${key}`, bytes]),
  ];
  return zipFile(files, deflate ? (content) => deflateRawSync(content) : undefined);
}

/** @param pack  deflates; stored where there is none. */
export function zipFile(
  files: readonly (readonly [name: string, content: Uint8Array])[],
  pack?: (content: Uint8Array) => Uint8Array,
): Uint8Array {
  const body: number[] = [];
  const directory: number[] = [];
  for (const [name, content] of files) {
    const stored = pack?.(content) ?? content;
    const facts = [
      ...u16(pack === undefined ? 0 : 8),
      0,
      0,
      0,
      0,
      ...u32(crc32(content)),
      ...u32(stored.length),
      ...u32(content.length),
      ...u16(name.length),
    ];
    directory.push(
      ...u32(0x02014b50),
      20,
      0,
      20,
      0,
      0,
      0,
      ...facts,
      ...u16(0),
      ...u16(0),
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      ...u32(body.length),
      ...text(name),
    );
    body.push(...u32(0x04034b50), 20, 0, 0, 0, ...facts, ...u16(0), ...text(name), ...stored);
  }
  const end = [
    ...u32(0x06054b50),
    0,
    0,
    0,
    0,
    ...u16(files.length),
    ...u16(files.length),
    ...u32(directory.length),
    ...u32(body.length),
    0,
    0,
  ];
  return Uint8Array.from([...body, ...directory, ...end]);
}

export function torchLegacy(
  root: Raw = SAMPLE,
  storages: Readonly<Record<string, Uint8Array>> = STORAGES,
  elements: Readonly<Record<string, number>> = { '0': 8, '1': 1 },
): Uint8Array {
  const system = dict({ protocol_version: 1001, little_endian: true, type_sizes: dict({ short: 2, int: 4, long: 4 }) });
  const u64 = (value: number) => [...u32(value), 0, 0, 0, 0];
  return Uint8Array.from([
    ...pickle(0x1950a86a20f9469cfc6cn),
    ...pickle(1001),
    ...pickle(system),
    ...pickle(root),
    ...pickle(list(Object.keys(storages))),
    ...Object.entries(storages).flatMap(([key, bytes]) => [...u64(elements[key] ?? 0), ...bytes]),
  ]);
}
