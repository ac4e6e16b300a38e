/** Parts of a tar file, spelt out (POSIX.1-2001, ustar), also wrong ones. */

export interface HeaderFields {
  readonly type?: string;
  /** Instead of the size in octal digits. */
  readonly sizeField?: Uint8Array;
}

export function tarHeader(name: string, size: number, { type = '0', sizeField }: HeaderFields = {}): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block.write('0000644\0', 100);
  if (sizeField === undefined) block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  else block.set(sizeField, 124);
  block.write('        ', 148);
  block.write(type, 156);
  block.write('ustar\x0000', 257);
  const sum = block.reduce((a, b) => a + b, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

export function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

export function tarFile(name: string, content: string | Uint8Array, fields: HeaderFields = {}): Buffer {
  const bytes = Buffer.from(content as Uint8Array);
  return Buffer.concat([tarHeader(name, bytes.length, fields), padded(bytes)]);
}

/** A header of attributes, as given. */
export function paxText(text: string): Buffer {
  return tarFile('pax', text, { type: 'x' });
}

export function pax(records: Readonly<Record<string, string>>): Buffer {
  return paxText(
    Object.entries(records)
      .map(([key, value]) => {
        const rest = ` ${key}=${value}\n`;
        let length = Buffer.byteLength(rest);
        while (Buffer.byteLength(`${length}${rest}`) !== length) length++;
        return `${length}${rest}`;
      })
      .join(''),
  );
}
