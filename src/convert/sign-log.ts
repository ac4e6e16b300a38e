/** What became of the signs of the source at 0. */

import type { Node } from '../graph/graph.ts';
import { nameOf } from '../rewriting/layers/layers.ts';

/** Accepting `plus` turns a sign that gives 0 at 0 into one that gives +1. */
export type SignZero = 'exact' | 'plus';

export interface SignReport {
  /** Signs that give 0 at 0 and stay as they are: their layers are ternary. */
  readonly ternary: readonly string[];
  /** Signs whose input provably never is 0. */
  readonly neverZero: readonly string[];
  /** Signs that gave 0 at 0 and now give +1, as the user asked. */
  readonly changed: readonly string[];
}

export class SignLog {
  readonly #ternary = new Set<Node>();
  readonly #never = new Set<string>();
  readonly #changed = new Set<string>();

  noteTernary(node: Node): void {
    this.#ternary.add(node);
  }
  noteNever(node: Node): void {
    this.#never.add(nameOf(node));
  }
  noteChanged(node: Node): void {
    this.#changed.add(nameOf(node));
  }

  /** A sign that became part of a two-valued function later is not listed as ternary. */
  get report(): SignReport {
    const alive = [...this.#ternary].filter((node) => node.$graph !== null && node.is('Sign'));
    return { ternary: alive.map(nameOf), neverZero: [...this.#never], changed: [...this.#changed] };
  }
}
