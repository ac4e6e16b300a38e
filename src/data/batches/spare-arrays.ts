/** Arrays that are free to be written into again. */
export class SpareArrays {
  readonly #arrays: Float32Array[] = [];

  add(array: Float32Array): void {
    this.#arrays.push(array);
  }

  /** Takes one of exactly this length out. */
  take(length: number): Float32Array | undefined {
    const at = this.#arrays.findIndex((array) => array.length === length);
    return at < 0 ? undefined : this.#arrays.splice(at, 1)[0];
  }
}
