/** A batch that is computed, those that are made meanwhile, and those that wait. */
const MOST = 4;

/** Memory of arrays that is free to be written into again: the latest few, so that sizes nobody asks for do not pile up. */
export class SpareArrays {
  readonly #buffers: ArrayBuffer[] = [];

  add(buffer: ArrayBuffer): void {
    this.#buffers.push(buffer);
    if (this.#buffers.length > MOST) this.#buffers.shift();
  }

  /** Takes one of exactly so many bytes out. */
  take(bytes: number): ArrayBuffer | undefined {
    const at = this.#buffers.findIndex(({ byteLength }) => byteLength === bytes);
    return at < 0 ? undefined : this.#buffers.splice(at, 1)[0];
  }
}
