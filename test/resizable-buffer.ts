/** Buffers that shrink; the types of this version of TypeScript's library do not know them yet. */

export type ResizableBuffer = ArrayBuffer & { resize(bytes: number): void };

const Resizable = ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => ResizableBuffer;

export function resizableBuffer(bytes: number): ResizableBuffer {
  return new Resizable(bytes, { maxByteLength: bytes });
}
