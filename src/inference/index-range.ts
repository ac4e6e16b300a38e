/** Integers that a graph takes as positions: what looks them up tells how many there are. */

import type { Node, Value } from '../graph/graph.ts';
import { constantInts } from '../graph/infer/node-facts.ts';
import { factsOf, passesOn } from '../operators/operator-facts.ts';

export interface IndexRange {
  readonly low: number;
  readonly high: number;
}

const MAX_DEPTH = 64;

/** The range that every reader of a value agrees to; null when none of them takes positions. */
export function indexRangeOf(value: Value, depth = 0): IndexRange | null {
  if (depth > MAX_DEPTH) return null;
  const ranges = value.uses.map(({ node, index }) => rangeAt(node, index, depth)).filter((range) => range !== null);
  if (ranges.length === 0) return null;
  return { low: Math.max(...ranges.map(({ low }) => low)), high: Math.min(...ranges.map(({ high }) => high)) };
}

function rangeAt(node: Node, index: number, depth: number): IndexRange | null {
  if (node.outputs[0] === undefined) return null;
  const positions = positionsOf(node, index);
  if (positions !== null) return positions;
  const facts = factsOf(node);
  if (node.is('Cast') || passesOn(facts, index)) return indexRangeOf(node.output, depth + 1);
  const number = constantInts(node.input(1 - index))?.[0];
  if (number === undefined || !['Add', 'Sub', 'Mul'].includes(node.type)) return null;
  const behind = indexRangeOf(node.output, depth + 1);
  if (behind === null) return null;
  if (node.is('Add')) return { low: behind.low - number, high: behind.high - number };
  if (node.is('Sub')) {
    return index === 0
      ? { low: behind.low + number, high: behind.high + number }
      : { low: number - behind.high, high: number - behind.low };
  }
  return number > 0 ? { low: Math.ceil(behind.low / number), high: Math.floor(behind.high / number) } : null;
}

/** From 0 to the last position of what the operator looks up; only 0 where its size is unknown. */
function positionsOf(node: Node, index: number): IndexRange | null {
  const upTo = (size: unknown): IndexRange => ({ low: 0, high: typeof size === 'number' ? Math.max(0, size - 1) : 0 });
  const shape = node.input(0)?.shape ?? null;
  switch (node.type) {
    case 'Gather':
    case 'GatherElements':
    case 'ScatterElements':
      return index === 1 ? upTo(shape?.at(node.int('axis', 0))) : null;
    case 'GatherND':
    case 'ScatterND': {
      const sizes = shape?.map((size) => (typeof size === 'number' ? size : 1)) ?? [1];
      return index === 1 ? upTo(Math.min(...sizes)) : null;
    }
    case 'OneHot':
      return index === 0 ? upTo(constantInts(node.input(1))?.[0]) : null;
    case 'com.microsoft.EmbedLayerNormalization':
      return index < 2 ? upTo(node.input(index === 0 ? 2 : 4)?.shape?.[0]) : null;
    default:
      return null;
  }
}
