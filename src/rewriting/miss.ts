import type { Node, Value } from '../graph/graph.ts';
import type { SourceNames } from './source-names.ts';

/** What others ask about a miss: the node has the form already; it takes a third value. */
export type MissCode = 'canonical' | 'third-value';

/** Why a rewrite does not apply at a node. */
export interface Miss {
  readonly kind: 'miss';
  /** The node that stands in the way, or the one that was looked at. */
  readonly culprit: Node;
  /** In words; `{}` stands for what it is about. */
  readonly reason: string;
  readonly about: Node | Value | null;
  readonly code: MissCode | null;
}

/** @param about  what `{}` in the reason stands for: names are given when the reason is shown. */
export function miss(culprit: Node, reason: string, about: Node | Value | null = null): Miss {
  return { kind: 'miss', culprit, reason, about, code: null };
}

export function isMiss(result: object): result is Miss {
  return 'kind' in result && result.kind === 'miss';
}

/** The reason with the names that users know. */
export function tellReason({ reason, about }: Miss, names: SourceNames): string {
  if (about === null) return reason;
  const what = 'outputs' in about ? names.describe(about) : names.describeValue(about);
  return reason.split('{}').join(what);
}
