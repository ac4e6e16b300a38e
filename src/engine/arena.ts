/** Where activations lie: each has a place while something reads it, and places are used again. */

/** A tensor of floats in the memory of a plan. */
export interface Slot {
  readonly shape: readonly number[];
  /** In bytes from the beginning of the plan's memory; set when the plan is complete. */
  offset: number;
}

interface Lifetime {
  readonly bytes: number;
  readonly from: number;
  until: number;
}

const LINE = 64;
/** Kernels may read up to a vector behind the end. */
const SLACK = 64;

/** Collects who reads what, then places everything. Views share the place of what they view. */
export class Arena {
  readonly #lifetimes = new Map<Slot, Lifetime>();
  readonly #viewed = new Map<Slot, Slot>();

  /** A tensor that step `step` writes. */
  add(shape: readonly number[], step: number): Slot {
    const slot: Slot = { shape, offset: 0 };
    const bytes = Math.ceil((4 * shape.reduce((a, b) => a * b, 1) + SLACK) / LINE) * LINE;
    this.#lifetimes.set(slot, { bytes, from: step, until: step });
    return slot;
  }

  /** The same elements under another shape. */
  view(slot: Slot, shape: readonly number[]): Slot {
    const view: Slot = { shape, offset: 0 };
    this.#viewed.set(view, this.#owner(slot));
    return view;
  }

  read(slot: Slot, step: number): void {
    const lifetime = this.#lifetimes.get(this.#owner(slot));
    if (lifetime !== undefined) lifetime.until = Math.max(lifetime.until, step);
  }

  #owner(slot: Slot): Slot {
    return this.#viewed.get(slot) ?? slot;
  }

  /** Sets every offset, larger tensors first, each at the lowest place that is free as long as it lives; returns the bytes. */
  place(): number {
    const placed: { readonly slot: Slot; readonly lifetime: Lifetime }[] = [];
    let total = 0;
    const bySize = [...this.#lifetimes].sort(([, a], [, b]) => b.bytes - a.bytes);
    for (const [slot, lifetime] of bySize) {
      const beside = placed
        .filter(({ lifetime: other }) => other.from <= lifetime.until && lifetime.from <= other.until)
        .sort((a, b) => a.slot.offset - b.slot.offset);
      let offset = 0;
      for (const other of beside) {
        if (offset + lifetime.bytes <= other.slot.offset) break;
        offset = Math.max(offset, other.slot.offset + other.lifetime.bytes);
      }
      slot.offset = offset;
      placed.push({ slot, lifetime });
      total = Math.max(total, offset + lifetime.bytes);
    }
    for (const [view, owner] of this.#viewed) view.offset = owner.offset;
    return total;
  }
}
