/** What became of the signs of the source at 0. */

import type { RewriteContext } from '../../rewriting/context.ts';

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

/** Names of the signs that were replaced although they gave a third value. */
export class SignLog {
  readonly never = new Set<string>();
  readonly changed = new Set<string>();
}

/** The rewrite that replaces signs. */
export const CANONICALIZE_STEP = 'canonicalize-step';

/** Reports on the signs, those that are left included. */
export function reportSigns({ never, changed }: SignLog, { graph, names, misses }: RewriteContext): SignReport {
  const ternary: string[] = [];
  for (const node of graph.nodes()) {
    const isTernary = misses.get(node)?.get(CANONICALIZE_STEP)?.code === 'third-value';
    if (node.is('Sign') && isTernary) ternary.push(names.nameOf(node));
  }
  return { ternary, neverZero: [...never], changed: [...changed] };
}
