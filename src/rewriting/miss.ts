import type { Node } from '../graph/graph.ts';

/** Why a rewrite does not apply at a node. */
export interface Miss {
  readonly kind: 'miss';
  /** The node that stands in the way, or the one that was looked at. */
  readonly culprit: Node;
  readonly reason: string;
}

export function miss(culprit: Node, reason: string): Miss {
  return { kind: 'miss', culprit, reason };
}

export function isMiss(result: object): result is Miss {
  return 'kind' in result && result.kind === 'miss';
}
