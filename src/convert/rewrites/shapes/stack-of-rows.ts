import type { Value } from '../../../graph/graph.ts';

export interface Stack {
  readonly rows: Value;
  readonly shape: Value;
}

/** The matrix that a value regroups the rows of; null for other values. */
export function stackOf(value: Value | null): Stack | null {
  const node = value?.producer ?? null;
  if (value === null || node?.is('Reshape') !== true) return null;
  const rows = node.requiredInput(0);
  const columns = rows.shape?.[1];
  const isStack = rows.shape?.length === 2 && typeof columns === 'number' && value.shape?.at(-1) === columns;
  return isStack ? { rows, shape: node.requiredInput(1) } : null;
}
