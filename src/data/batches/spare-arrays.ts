/** Memory of arrays that is free to be written into again. */
export class SpareArrays {
  readonly #buffers: ArrayBuffer[] = [];

  add(buffer: ArrayBuffer): void {
    this.#buffers.push(buffer);
  }

  /** Takes one of exactly so many bytes out. */
  take(bytes: number): ArrayBuffer | undefined {
    const at = this.#buffers.findIndex(({ byteLength }) => byteLength === bytes);
    return at < 0 ? undefined : this.#buffers.splice(at, 1)[0];
  }
}
